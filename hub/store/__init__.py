"""The store seam: one append-only log in commit order, and tables derived from it."""
