"""Alarm panels: conventions over MQTT, decoded without I/O, and one driver."""
