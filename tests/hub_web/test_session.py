"""Signing in: argon2id, hashed tokens, limits on guessing, ends that are ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from hub.accounts import (
    IDLE,
    LIFETIME,
    NAME_AND_ADDRESS_TRIES,
    AccountError,
    Accounts,
    NameInUse,
    NewPerson,
    SignInLimit,
    SignInRefused,
    TooManyTries,
    change_password,
    create_person,
    set_disabled,
)
from hub.store import audit as audit_rows
from hub.store.engine import Store
from hub.store.tables.accounts import people, sessions
from tests.hub_web.conftest import PASSWORD, Desk, Running, start_hub

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    """Moves when told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'hub.db'}", clock=clock)
    yield opened
    opened.close()


def person(name: str = "wang", password: str = PASSWORD) -> NewPerson:
    return NewPerson(name=name, display_name="王警官", password=password, roles=("operator",), place="xz")


async def test_cookie_is_httponly_and_strict_and_the_store_keeps_only_hashes(
    running: Running, desk: Desk
) -> None:
    async with desk.as_person() as client:
        answer = await client.post("/session", json={"name": "op", "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
        body = answer.json()
        assert body["person"]["name"] == "op"
        assert body["person"]["place_name"] == "徐州市"
        assert "incidents.act" in body["rights"] and "audit.see" not in body["rights"]
        token = client.cookies["jifang"]
        assert (await client.get("/session")).json()["person"] == body["person"]
        tables = (sessions, people)
        stored = repr([running.hub.store.query(lambda c, t=t: c.execute(sa.select(t)).all()) for t in tables])  # type: ignore[misc]
        assert token not in stored and PASSWORD not in stored
        assert "$argon2id$v=19$m=65536" in stored
        assert (await client.delete("/session")).status_code == 204
        client.cookies.set("jifang", token)
        assert (await client.get("/session")).status_code == 401


async def test_no_account_exists_unless_somebody_made_it(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    fresh = start_hub(tmp_path, free_port())
    try:
        async with httpx.AsyncClient(base_url=f"{fresh.base}/api/v1") as client:
            for name in ("admin", "root", "operator"):
                for password in ("admin", "password", "jifang"):
                    answer = await client.post("/session", json={"name": name, "password": password})
                    assert answer.status_code == 401
        assert await fresh.hub.accounts.people() == []
    finally:
        fresh.stop()


async def test_wrong_name_and_wrong_password_are_told_alike_and_slow_down(desk: Desk) -> None:
    async with desk.as_person() as client:
        wrong = await client.post("/session", json={"name": "nobody-here", "password": "x" * 12})
        for _ in range(NAME_AND_ADDRESS_TRIES):
            answer = await client.post("/session", json={"name": "fitter", "password": "x" * 12})
            assert (answer.status_code, answer.json()) == (401, wrong.json())
        limited = await client.post("/session", json={"name": "fitter", "password": PASSWORD})
        assert limited.status_code == 429
        assert 0 < int(limited.headers["retry-after"]) <= 900
        assert (await client.post("/session", json={"name": "op", "password": PASSWORD})).status_code == 200


async def test_guesses_sent_together_do_not_slip_under_the_limit(store: Store, clock: Clock) -> None:
    await create_person(store, person())
    accounts = Accounts(store, clock)
    tries = [accounts.sign_in("wang", f"wrong password {i}", address="10.0.0.9") for i in range(12)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, SignInRefused) for end in ends) == NAME_AND_ADDRESS_TRIES
    assert sum(isinstance(end, TooManyTries) for end in ends) == 12 - NAME_AND_ADDRESS_TRIES
    # From another address the person themselves still gets in.
    assert (await accounts.sign_in("wang", PASSWORD, address="10.0.0.1")).person.name == "wang"


async def test_sessions_end_by_age_idleness_closing_and_a_new_password(store: Store, clock: Clock) -> None:
    await create_person(store, person())
    accounts = Accounts(store, clock)

    async def fresh() -> str:
        return (await accounts.sign_in("wang", PASSWORD, address="10.0.0.1")).token

    token = await fresh()
    for _ in range(int(LIFETIME / timedelta(hours=1)) - 1):
        clock.now += timedelta(hours=1)
        assert await accounts.find(token) is not None
        await store.submit(lambda _tx: None)  # the note that it is in use is committed
    clock.now += timedelta(hours=1)
    assert await accounts.find(token) is None

    token = await fresh()
    clock.now += IDLE
    assert await accounts.find(token) is None

    token = await fresh()
    await set_disabled(store, name="wang", disabled=True)
    assert await accounts.find(token) is None
    with pytest.raises(SignInRefused):
        await fresh()
    await set_disabled(store, name="wang", disabled=False)

    session = await accounts.sign_in("wang", PASSWORD, address="10.0.0.1")
    await change_password(store, name="wang", password="another long one")
    assert await accounts.find(session.token) is None
    assert await accounts.person_now(session) is None


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (person(password="short"), "password"),
        (person(password="wang wang wang"), "password"),
        (person(name="two words"), "name"),
        (NewPerson(name="li", display_name="", password=PASSWORD, roles=(), place="xz"), "roles"),
        (NewPerson(name="li", display_name="", password=PASSWORD, roles=("boss",), place="xz"), "roles"),
    ],
)
async def test_accounts_that_cannot_be_made_say_which_field(store: Store, new: NewPerson, field: str) -> None:
    with pytest.raises(AccountError) as refused:
        await create_person(store, new)
    assert refused.value.field == field
    assert PASSWORD not in repr(new)


async def test_names_are_taken_once_and_every_step_is_in_the_audit_log(store: Store) -> None:
    await create_person(store, person())
    with pytest.raises(NameInUse):
        await create_person(store, person())
    rows = store.query(lambda connection: audit_rows.page(connection, before=None, limit=10))
    assert [row.act.action for row in rows] == ["person.add"]


def test_the_limit_forgets_in_time_and_stays_bounded() -> None:
    limit = SignInLimit(most_keys=10)
    for number in range(50):
        limit.failed(f"name-{number}", NOW)
    assert len(limit._failures) == 10
    for _ in range(5):
        limit.failed("wang", NOW)
    assert limit.wait_s("wang", 5, NOW) == 900
    assert limit.wait_s("wang", 5, NOW + timedelta(minutes=15)) == 0
