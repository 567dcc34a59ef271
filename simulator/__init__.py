"""A district of field devices. Speaks network protocols only; shares no code with the product."""
