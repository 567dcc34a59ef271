"""The HTTP API, the live feed and the console's files."""
