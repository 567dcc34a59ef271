"""The registers against a real database."""
