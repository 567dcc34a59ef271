"""Numbered migrations of the schema (Alembic)."""
