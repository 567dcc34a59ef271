"""Proves by killing: what was acknowledged is in the log once, whatever dies (docs/design/torture.md)."""
