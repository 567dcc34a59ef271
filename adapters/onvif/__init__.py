"""Cameras' own events and health over ONVIF: what answers mean, decoded without I/O, and one driver."""
