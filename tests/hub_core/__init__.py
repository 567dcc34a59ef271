"""Tests of the hub's core: store, log, rules, desk, intake, watch."""
