"""Pictures of the simulated district: streets with moving vehicles, drawn and encoded once, and films."""
