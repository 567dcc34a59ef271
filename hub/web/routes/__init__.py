"""The API's routes, by what a person comes for."""
