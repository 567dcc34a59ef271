"""Trackers in patrol cars: protocols decoded without I/O, and one driver."""
