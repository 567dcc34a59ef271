"""Alembic's entry: runs migrations on the connection that `hub.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from hub.store.tables import load_all

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=load_all(),
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
