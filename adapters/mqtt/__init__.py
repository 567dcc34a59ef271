"""What the families that speak MQTT have in common: one connection that acknowledges after storing."""
