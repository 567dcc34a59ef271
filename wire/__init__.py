"""Ground floor: what every wing speaks. Imports nothing else of ours."""
