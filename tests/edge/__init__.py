"""Tests of the edge: pixels, state machines, and the process against real servers."""
