"""Field protocols: bytes from devices to observations, orders back to bytes."""
