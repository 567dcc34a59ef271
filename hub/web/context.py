"""What the routes work on: the parts of a hub, and the few things that need several of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from hub import metrics
from hub.access import Person, Right, decide, rights_of
from hub.accounts import AccountError, NameInUse, NewPerson, create_person
from hub.audit import Act, Outcome
from hub.domain.device import Health
from hub.domain.trouble import TroubleCode, code_of
from hub.store import audit as audit_rows
from hub.store.accounts import PersonRow
from hub.store.engine import Store, StoreUnavailable, Transaction
from hub.store.tables.accounts import sessions
from hub.web.guard import Caller
from hub.web.models import NewPerson as NewPersonAsked
from hub.web.models import PersonView, Readiness, RenderedUpTo
from hub.web.problems import ApiProblem, not_stored
from wire.clock import Clock

if TYPE_CHECKING:
    from hub.accounts import Accounts
    from hub.desk import Desk
    from hub.evidence import Rates
    from hub.feed import Feed
    from hub.insisting import Insistence
    from hub.media import Media
    from hub.registers import Registers
    from hub.replaying import Replaying
    from hub.store.blobs import Blobs
    from hub.vitals import Vitals
    from wire.bus import Bus


@dataclass(slots=True, kw_only=True)
class Hub:
    """The parts of a running hub."""

    store: Store
    registers: Registers
    desk: Desk
    accounts: Accounts
    feed: Feed
    media: Media
    rates: Rates
    blobs: Blobs
    bus: Bus
    clock: Clock
    vitals: Vitals
    insist: Insistence
    replaying: Replaying
    console: Path | None = None
    field_address: str = ""

    def contains(self, outer: str, inner: str) -> bool:
        """Whether place `inner` is `outer` or lies under it."""
        return self.registers.within(inner, outer)

    def may_see(self, caller: Caller, place: str) -> bool:
        """Whether a thing at `place` lies in the caller's jurisdiction."""
        return decide(caller.person, Right.SELF, place=place, contains=self.contains).allowed

    async def audit(self, caller: Caller, action: str, subject: str, **more: str) -> None:
        """Writes a row; raises where it can't be written, and then nothing was allowed."""
        act = act_of(caller, action, subject, **more)
        await self.store.submit(lambda tx: audit_rows.append(tx, act))

    async def denied(self, caller: Caller, right: Right | None, what: str, reason: str) -> None:
        """Writes down that the decision point said no."""
        metrics.DENIALS.labels(right.value if right else "none").inc()
        outcome = f"{Outcome.DENIED.value}: {reason}"
        await self.audit(caller, "denied", what, outcome=outcome)

    async def require_seen(self, caller: Caller, place: str | None, what: str) -> None:
        """404 for what isn't there and for what lies outside: a stranger can't tell one from the other."""
        if place is not None and self.may_see(caller, place):
            return
        if place is not None:
            await self.denied(caller, None, what, f"{place} is outside {caller.person.place}")
        raise ApiProblem("not_found", f"没有 {what}。", f"There is no {what}.")

    async def readiness(self) -> Readiness:
        """Whether the hub can store, asked of the store itself; all else is told but doesn't decide."""
        checks = {"broker": "ok" if self.bus.connected else "not connected", "disk": "ok", "clock": "ok"}
        store = await self._can_store()
        troubles = self.vitals.troubles()
        checks |= {trouble.part: trouble.code.value for trouble in troubles}
        checks["store"] = store if store != "ok" else checks.get("store", store)
        return Readiness(ok=store == "ok", checks=checks, troubles=troubles)

    async def _can_store(self) -> str:
        failure = self.vitals.failure()
        if failure is not None:  # a probe may be small enough to succeed, or would queue behind what hangs
            return f"cannot write: {failure.code.value}"
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self.store.submit(probe)
        except TimeoutError:
            return f"cannot write: {TroubleCode.NO_COMMIT.value}"
        except (StoreUnavailable, SQLAlchemyError) as error:
            return f"cannot write: {code_of(str(error)).value}"
        return "ok"

    def require_store(self) -> None:
        """Refuses at once while a commit hangs: what is queued behind it would be done when nobody expects
        it any more."""
        failure = self.vitals.failure()
        if failure is not None and failure.code is TroubleCode.NO_COMMIT:
            raise not_stored(failure.code)

    async def rendered(self, caller: Caller, asked: RenderedUpTo) -> None:
        """What a console has drawn. Only what it may see counts, and only news go through the store."""
        for name, number in (("seq", asked.seq), ("painted", asked.painted)):
            if number > self.store.head:
                raise ApiProblem("invalid", "编号超出日志。", "The number is beyond the log.", field=name)
        self.feed.painted(caller.session, asked.console, asked.painted)

        def sees(place: str) -> bool:
            return self.may_see(caller, place)

        if Right.INCIDENTS_SEE in rights_of(caller.person) and self.desk.undrawn(asked.seq, sees):
            now, by = self.clock(), caller.person.name
            await self.store.submit(lambda tx: self.desk.rendered(tx, asked.seq, by, now, sees))

    async def add_person(self, caller: Caller, asked: NewPersonAsked) -> PersonRow:
        """Makes an account inside the caller's own jurisdiction."""
        if (
            not self.may_see(caller, asked.place or self.registers.root)
            or self.registers.place(asked.place or self.registers.root) is None
        ):
            await self.denied(caller, Right.PEOPLE, f"person:{asked.name}", f"{asked.place} is outside")
            raise ApiProblem(
                "forbidden", "不在您的管辖范围内。", "That lies outside your jurisdiction.", field="place"
            )
        new = NewPerson(
            name=asked.name,
            display_name=asked.display_name,
            password=asked.password,
            roles=tuple(asked.roles),
            place=asked.place,
        )
        act = act_of(
            caller,
            "person.add",
            f"person:{asked.name}",
            place=asked.place,
            reason=" ".join(asked.roles),
        )
        try:
            return await create_person(self.store, new, act=act)
        except NameInUse as error:
            raise ApiProblem("exists", "此用户名已被使用。", str(error), field="name") from error
        except AccountError as error:
            raise ApiProblem(
                "invalid", f"{error.field} 一项有误:{error.reason}", str(error), field=error.field
            ) from error

    def named(self, person: Person) -> Person:
        """The person with their place's name."""
        return replace(person, place_name=self.place_name(person.place))

    def place_name(self, place: str) -> str:
        """A place's name; empty where there is none of that id."""
        found = self.registers.place(place or self.registers.root)
        return found.name if found else ""

    def person_view(self, row: PersonRow) -> PersonView:
        """An account as the administrator sees it."""
        return PersonView(
            name=row.name,
            display_name=row.display_name,
            roles=row.roles,
            place=row.place,
            place_name=self.place_name(row.place),
            disabled=row.disabled,
            created_at=row.created_at,
            signed_in_at=row.signed_in_at,
        )


READY_WITHIN_S = 5.0


def probe(tx: Transaction) -> None:
    """A job that makes the database prove it can write, and leaves nothing behind."""
    tx.connection.execute(sessions.delete().where(sessions.c.token_hash == ""))


def act_of(
    caller: Caller, action: str, subject: str, *, place: str = "", reason: str = "", outcome: str = ""
) -> Act:
    """An act of `caller`; its place is the object's, else the person's own."""
    return Act(
        action=action,
        object=subject,
        person=caller.person.name,
        place=place or caller.person.place,
        reason=reason,
        outcome=outcome or Outcome.OK.value,
        address=caller.address,
        console=caller.session,
    )


def hub_of(request: Request) -> Hub:
    """The hub that serves this request."""
    hub = request.app.state.hub
    if not isinstance(hub, Hub):
        raise ApiProblem("busy", "系统正在启动。", "The hub is starting.")
    return hub


def measure(hub: Hub) -> None:
    """Sets the gauges that are read off the hub's state when somebody asks."""
    state = hub.desk.snapshot()
    metrics.STORE_UP.set(hub.vitals.failure() is None)
    metrics.TROUBLE.clear()
    for trouble in hub.vitals.troubles():
        metrics.TROUBLE.labels(trouble.part, trouble.code.value).set(1)
    metrics.STORE_UNTIDIED.set(hub.store.untidied_bytes)
    metrics.STORE_OLDEST_READ.set(hub.store.oldest_read_s)
    metrics.BROKER_UP.set(hub.bus.connected)
    metrics.INCIDENTS_OPEN.set(len(state.incidents))
    for health in Health:
        metrics.CAMERAS.labels(health.value).set(sum(one.health is health for one in state.cameras))
        metrics.PANELS.labels(health.value).set(sum(one.health is health for one in state.panels))
