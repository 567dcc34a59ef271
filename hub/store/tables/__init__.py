"""The schema as SQLAlchemy tables, by area, on one `metadata`; a test proves `migrations/` equal to it."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def load_all() -> MetaData:
    """`metadata` with the tables of every area on it."""
    from importlib import import_module
    from pkgutil import iter_modules

    for module in iter_modules(__path__, f"{__name__}."):
        import_module(module.name)
    return metadata
