"""Accounts and sessions: argon2id off the event loop, tokens kept only as hashes, guessing slowed down."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import argon2
from sqlalchemy.exc import SQLAlchemyError

from hub import metrics
from hub.access import Person, Role, parse_roles
from hub.audit import Act, Outcome
from hub.insisting import Insistence, Insisting
from hub.store import accounts as rows
from hub.store import audit as audit_rows
from hub.store.engine import Query, Store, StoreUnavailable, Transaction
from wire.clock import Clock, utc_now

T = TypeVar("T")

LIFETIME = timedelta(hours=14)
"""Longer than a twelve-hour shift with its handover."""
IDLE = timedelta(hours=2)
"""A console in use calls or follows the feed all the time; one that does neither is signed out."""
MIN_PASSWORD = 10
_TOUCH_EVERY = timedelta(minutes=1)
_HASHER = argon2.PasswordHasher(time_cost=3, memory_cost=65536, parallelism=1, type=argon2.Type.ID)
"""OWASP Password Storage Cheat Sheet asks for argon2id with at least 19 MiB and 2 passes; RFC 9106's second
choice is 64 MiB and 3 passes."""
_DUMMY = _HASHER.hash("nobody has this password")
_HASHING = ThreadPoolExecutor(2, thread_name_prefix="argon2")
ASK_WITHIN_S = 3.0
"""A store that doesn't answer within this is one that can't be asked."""
ASK_AGAIN_AFTER = timedelta(seconds=5)
_MOST_KNOWN = 2_000
_MAX_HASHING = 16
"""Sign-ins under way at once; each takes 64 MiB, two at a time."""


class SignInRefused(ValueError):
    """Wrong name or password, or a closed account: one word for all, so that names can't be found out."""


class TooManyTries(RuntimeError):
    """Too many failures for this name or address."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"wait {wait_s:.0f} s")
        self.wait_s = wait_s


class AccountError(ValueError):
    """An account that can't be made: names the field and the reason."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(f"{field_name}: {reason}")
        self.field = field_name
        self.reason = reason


class NameInUse(AccountError):
    """There is an account of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session. `token` is set only when it is opened; the store keeps its hash."""

    id: str
    person: Person
    expires_at: datetime
    token_hash: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(slots=True)
class SignInLimit:
    """Failures of the last `window`, by key; bounded in keys, so that inventing names fills nothing."""

    window: timedelta = timedelta(minutes=15)
    most_keys: int = 10_000
    _failures: OrderedDict[str, deque[datetime]] = field(default_factory=OrderedDict)

    def wait_s(self, key: str, most: int, now: datetime) -> float:
        """Seconds until `key` may try again; 0 while it has under `most` failures in the window."""
        failures = self._failures.get(key)
        if failures is None:
            return 0.0
        while failures and failures[0] <= now - self.window:
            failures.popleft()
        if len(failures) < most:
            return 0.0
        return (failures[-most] + self.window - now).total_seconds()

    def failed(self, key: str, now: datetime) -> None:
        """Counts a failure."""
        failures = self._failures.setdefault(key, deque(maxlen=100))
        self._failures.move_to_end(key)
        failures.append(now)
        if len(self._failures) > self.most_keys:
            self._failures.popitem(last=False)

    def forget(self, key: str) -> None:
        """A success clears the key."""
        self._failures.pop(key, None)


NAME_AND_ADDRESS_TRIES = 5
NAME_TRIES = 50
ADDRESS_TRIES = 30


class Accounts:
    """Sign-in, sessions and people over one store."""

    def __init__(
        self,
        store: Store,
        clock: Clock = utc_now,
        *,
        steady: Clock | None = None,
        insist: Insisting | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady or clock
        """Spans of a lockout are measured by it: nobody waits longer because the clock was set back."""
        self._insist: Insisting = insist if insist is not None else Insistence(store)
        self._limit = SignInLimit()
        self._hashing = 0
        self._known: OrderedDict[str, rows.SessionRow] = OrderedDict()
        """Sessions as the store last confirmed them, for when it can't be asked."""
        self._ended: OrderedDict[str, None] = OrderedDict()
        """Signed out here, whether or not the store could note it yet."""
        self._ask_again_at = self._steady()

    async def sign_in(self, name: str, password: str, *, address: str) -> SignedIn:
        """A new session. Raises `SignInRefused` or `TooManyTries`; both leave a row in the audit log."""
        now = self._steady()
        keys = (
            (f"n:{name}|{address}", NAME_AND_ADDRESS_TRIES),
            (f"n:{name}", NAME_TRIES),
            (f"a:{address}", ADDRESS_TRIES),
        )
        wait_s = max(self._limit.wait_s(key, most, now) for key, most in keys)
        if wait_s > 0:
            metrics.SIGN_INS.labels("limited").inc()
            raise TooManyTries(wait_s)
        # Counted before the slow hash: parallel guesses must not slip in under the limit.
        for key, _ in keys:
            self._limit.failed(key, now)
        person = await self._store.read(lambda c: rows.person_named(c, name))
        right = await self._verified(person.password_hash if person else _DUMMY, password)
        if person is None or not right or person.disabled:
            await self._refuse(name, address)
            raise SignInRefused
        for key, _ in keys:
            self._limit.forget(key)
        return await self._open(person, address)

    async def _verified(self, hashed: str, password: str) -> bool:
        if self._hashing >= _MAX_HASHING:
            raise TooManyTries(5)
        self._hashing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(_HASHING, _matches, hashed, password)
        finally:
            self._hashing -= 1

    async def _refuse(self, name: str, address: str) -> None:
        metrics.SIGN_INS.labels("refused").inc()
        act = Act(action="session.in", object=f"person:{name}", address=address, outcome=Outcome.DENIED.value)
        await self._store.submit(lambda tx: audit_rows.append(tx, act))

    async def _open(self, person: rows.PersonRow, address: str) -> SignedIn:
        token = secrets.token_urlsafe(32)
        now = self._clock()
        row = rows.SessionRow(
            token_hash=_token_hash(token),
            id=secrets.token_hex(4),
            address=address,
            seen_at=now,
            expires_at=now + LIFETIME,
            person=person,
        )

        def job(tx: Transaction) -> None:
            rows.add_session(tx, row)
            audit_rows.append(
                tx,
                Act(
                    action="session.in",
                    object=f"person:{person.name}",
                    person=person.name,
                    place=person.place,
                    address=address,
                    console=row.id,
                ),
            )

        await self._store.submit(job)
        metrics.SIGN_INS.labels("ok").inc()
        return replace(_signed_in(row), token=token)

    async def find(self, token: str) -> SignedIn | None:
        """The live session of a cookie's token; notes at most once a minute that it is in use.

        While the store can't be asked, a session that it confirmed before goes on, for as long as it may be
        idle. Raises `StoreUnavailable` for one that isn't known here.
        """
        token_hash = _token_hash(token)
        row = await self._session(token_hash)
        now = self._clock()
        if row is None or not _alive(row, now):
            return None
        if now - row.seen_at > _TOUCH_EVERY and self._store.health.ok:
            self._store.enqueue(lambda tx: rows.touch_session(tx, token_hash))
        return _signed_in(row)

    async def person_now(self, session: SignedIn) -> Person | None:
        """Who the session's person is by now; None: signed out. Keeps it from idling out."""
        row = await self._session(session.token_hash)
        now = self._clock()
        if row is None or not _alive(row, now):
            return None
        if now - row.seen_at > _TOUCH_EVERY and self._store.health.ok:
            self._store.enqueue(lambda tx: rows.touch_session(tx, session.token_hash))
        return _signed_in(row).person

    async def alive(self, ids: Iterable[str]) -> set[str]:
        """Which of these sessions (by their public ids) go on."""
        wanted = list(ids)
        try:
            found = await self._read(lambda c: rows.sessions_named(c, wanted)) if wanted else []
        except StoreUnavailable:
            found = [row for row in self._known.values() if row.id in wanted]
        now = self._clock()
        return {row.id for row in found if _alive(row, now)}

    async def sign_out(self, session: SignedIn, *, address: str) -> None:
        """Ends the session."""
        act = Act(
            action="session.out",
            object=f"person:{session.person.name}",
            person=session.person.name,
            place=session.person.place,
            address=address,
            console=session.id,
        )

        def job(tx: Transaction) -> None:
            rows.end_session(tx, session.token_hash)
            audit_rows.append(tx, act)

        self._forget(session.token_hash)
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                await self._store.submit(job)
        except (StoreUnavailable, TimeoutError):
            self._insist(job)

    async def _session(self, token_hash: str) -> rows.SessionRow | None:
        """The session's row; as last confirmed where the store can't be asked now."""
        if token_hash in self._ended:
            return None
        try:
            row = await self._read(lambda c: rows.session_of(c, token_hash))
        except StoreUnavailable:
            if token_hash in self._known:
                return self._known[token_hash]
            raise
        if row is None:
            self._known.pop(token_hash, None)
        else:
            self._known[token_hash] = row
            self._known.move_to_end(token_hash)
            _bound(self._known)
        return row

    async def _read(self, query: Query[T]) -> T:
        """Asks the store, not for long, and after a failure not at all for a moment: `StoreUnavailable`."""
        if self._steady() < self._ask_again_at:
            raise StoreUnavailable("the store could not be asked a moment ago")
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                return await self._store.read(query)
        except (SQLAlchemyError, StoreUnavailable, TimeoutError) as error:
            self._ask_again_at = self._steady() + ASK_AGAIN_AFTER
            raise StoreUnavailable(str(error)) from error

    def _forget(self, token_hash: str) -> None:
        self._known.pop(token_hash, None)
        self._ended[token_hash] = None
        _bound(self._ended)

    async def people(self) -> list[rows.PersonRow]:
        """All accounts."""
        return await self._store.read(rows.everyone)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPerson:
    """An account to make."""

    name: str
    display_name: str
    password: str = field(repr=False)
    roles: tuple[str, ...]
    place: str
    """Root of the jurisdiction; empty: the whole tree."""


async def create_person(store: Store, new: NewPerson, *, act: Act | None = None) -> rows.PersonRow:
    """Makes an account; `act` (default: made on the hub's own machine) goes into the audit log with it.

    Raises `AccountError` naming the field.
    """
    _check(new)
    hashed = await _hash(new.password)
    act = act or Act(action="person.add", object=f"person:{new.name}", place=new.place, address="local")

    def job(tx: Transaction) -> rows.PersonRow:
        row = rows.PersonRow(
            name=new.name,
            display_name=new.display_name or new.name,
            roles=parse_roles(new.roles),
            place=new.place,
            password_hash=hashed,
            disabled=False,
            created_at=tx.now,
            created_by=act.person,
            signed_in_at=None,
        )
        rows.add_person(tx, row)
        audit_rows.append(tx, act)
        return row

    try:
        return await store.submit(job)
    except rows.NameTaken:
        raise NameInUse("name", f"there is an account {new.name!r} already") from None


async def _hash(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_HASHING, _HASHER.hash, password)


async def change_password(store: Store, *, name: str, password: str, by: str = "") -> None:
    """Sets a password and ends the person's sessions. Raises `AccountError`."""
    _check_password(name, password)
    hashed = await _hash(password)

    def job(tx: Transaction) -> None:
        if not rows.set_password(tx, name, hashed):
            raise AccountError("name", f"there is no account {name!r}")
        audit_rows.append(
            tx, Act(action="person.password", object=f"person:{name}", person=by, address="local")
        )

    await store.submit(job)


async def set_disabled(store: Store, *, name: str, disabled: bool, by: str = "") -> None:
    """Closes or reopens an account. Raises `AccountError`."""

    def job(tx: Transaction) -> None:
        if not rows.set_disabled(tx, name, disabled=disabled):
            raise AccountError("name", f"there is no account {name!r}")
        action = "person.close" if disabled else "person.reopen"
        audit_rows.append(tx, Act(action=action, object=f"person:{name}", person=by, address="local"))

    await store.submit(job)


def _check(new: NewPerson) -> None:
    if not new.name or len(new.name) > 64 or any(c.isspace() or ord(c) < 32 for c in new.name):
        raise AccountError("name", "is 1 to 64 characters without spaces")
    if not new.roles:
        raise AccountError("roles", f"name at least one of {', '.join(Role)}")
    try:
        parse_roles(new.roles)
    except ValueError as error:
        raise AccountError("roles", str(error)) from error
    _check_password(new.name, new.password)


def _check_password(name: str, password: str) -> None:
    if len(password) < MIN_PASSWORD:
        raise AccountError("password", f"has under {MIN_PASSWORD} characters")
    if name.lower() in password.lower():
        raise AccountError("password", "contains the name")


def _matches(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except argon2.exceptions.VerificationError:
        return False


def _bound(known: OrderedDict[str, Any]) -> None:
    while len(known) > _MOST_KNOWN:
        known.popitem(last=False)


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _alive(row: rows.SessionRow, now: datetime) -> bool:
    return now < row.expires_at and now - row.seen_at < IDLE and not row.person.disabled


def _signed_in(row: rows.SessionRow) -> SignedIn:
    person = Person(
        name=row.person.name,
        display_name=row.person.display_name,
        roles=row.person.roles,
        place=row.person.place,
        place_name="",
    )
    return SignedIn(id=row.id, person=person, expires_at=row.expires_at, token_hash=row.token_hash)
