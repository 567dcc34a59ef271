"""Tests of the HTTP side: a real server on a free port over a real store."""
