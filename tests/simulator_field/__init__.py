"""Tests of the simulated district besides its cameras: roads, cars, panels, story, ledger."""
