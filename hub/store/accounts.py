"""People and sessions in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from hub.access import Role, parse_roles
from hub.store.engine import Transaction
from hub.store.tables.accounts import people, sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """An account as stored."""

    name: str
    display_name: str
    roles: tuple[Role, ...]
    place: str
    password_hash: str
    disabled: bool
    created_at: datetime
    created_by: str
    signed_in_at: datetime | None

    def __repr__(self) -> str:
        return f"PersonRow({self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session as stored, with its person."""

    token_hash: str
    id: str
    address: str
    seen_at: datetime
    expires_at: datetime
    person: PersonRow


class NameTaken(ValueError):
    """There is an account of this name already."""


def add_person(tx: Transaction, row: PersonRow) -> None:
    """Adds an account. Raises `NameTaken`."""
    if person_named(tx.connection, row.name) is not None:
        raise NameTaken(row.name)
    tx.connection.execute(
        people.insert().values(
            name=row.name,
            display_name=row.display_name,
            roles=msgspec.json.encode(row.roles).decode(),
            place=row.place,
            password_hash=row.password_hash,
            disabled=row.disabled,
            created_at=row.created_at,
            created_by=row.created_by,
            signed_in_at=row.signed_in_at,
        )
    )


def set_password(tx: Transaction, name: str, password_hash: str) -> bool:
    """Replaces a password's hash and ends the person's sessions; False: no such account."""
    changed = tx.connection.execute(
        people.update().where(people.c.name == name).values(password_hash=password_hash)
    ).rowcount
    tx.connection.execute(sessions.delete().where(sessions.c.person == name))
    return bool(changed)


def set_disabled(tx: Transaction, name: str, *, disabled: bool) -> bool:
    """Closes or reopens an account and ends its sessions; False: no such account."""
    changed = tx.connection.execute(
        people.update().where(people.c.name == name).values(disabled=disabled)
    ).rowcount
    tx.connection.execute(sessions.delete().where(sessions.c.person == name))
    return bool(changed)


def person_named(connection: sa.Connection, name: str) -> PersonRow | None:
    """The account of that name."""
    row = connection.execute(sa.select(people).where(people.c.name == name)).first()
    return None if row is None else _person(row)


def everyone(connection: sa.Connection) -> list[PersonRow]:
    """All accounts by name."""
    return [_person(row) for row in connection.execute(sa.select(people).order_by(people.c.name))]


def add_session(tx: Transaction, row: SessionRow) -> None:
    """Opens a session and drops those that have run out."""
    tx.connection.execute(sessions.delete().where(sessions.c.expires_at < tx.now))
    tx.connection.execute(
        sessions.insert().values(
            token_hash=row.token_hash,
            id=row.id,
            person=row.person.name,
            address=row.address,
            created_at=tx.now,
            seen_at=row.seen_at,
            expires_at=row.expires_at,
        )
    )
    tx.connection.execute(people.update().where(people.c.name == row.person.name).values(signed_in_at=tx.now))


def session_of(connection: sa.Connection, token_hash: str) -> SessionRow | None:
    """The session of a token, with its person as they stand now."""
    row = connection.execute(_SESSIONS.where(sessions.c.token_hash == token_hash)).first()
    return None if row is None else _session(row)


def sessions_named(connection: sa.Connection, ids: Sequence[str]) -> list[SessionRow]:
    """The sessions with these public ids."""
    return [_session(row) for row in connection.execute(_SESSIONS.where(sessions.c.id.in_(ids)))]


_SESSIONS = sa.select(
    sessions.c.token_hash,
    sessions.c.id.label("session_id"),
    sessions.c.address,
    sessions.c.seen_at,
    sessions.c.expires_at,
    people,
).join(people, people.c.name == sessions.c.person)


def _session(row: sa.Row[Any]) -> SessionRow:
    return SessionRow(
        token_hash=row.token_hash,
        id=row.session_id,
        address=row.address,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        person=_person(row),
    )


def touch_session(tx: Transaction, token_hash: str) -> None:
    """Notes that a session is in use."""
    tx.connection.execute(sessions.update().where(sessions.c.token_hash == token_hash).values(seen_at=tx.now))


def end_session(tx: Transaction, token_hash: str) -> None:
    """Ends a session."""
    tx.connection.execute(sessions.delete().where(sessions.c.token_hash == token_hash))


def _person(row: sa.Row[Any]) -> PersonRow:
    return PersonRow(
        name=row.name,
        display_name=row.display_name,
        roles=parse_roles(msgspec.json.decode(row.roles)),
        place=row.place,
        password_hash=row.password_hash,
        disabled=row.disabled,
        created_at=row.created_at,
        created_by=row.created_by,
        signed_in_at=row.signed_in_at,
    )
