"""Beside the cameras: capture, motion, picture health."""
