"""Looking at what could not be decoded, trying it again, throwing it away: who, why, written down."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from hub.domain.entry import Draft, EntryKind
from hub.replaying import Came, Result, Summary, result_of
from hub.store import audit as audit_rows
from hub.store import quarantine
from hub.store.engine import Transaction
from hub.store.quarantine import Quarantined, Wanted
from hub.web import models
from hub.web.context import Hub, act_of
from hub.web.guard import Caller
from hub.web.problems import ApiProblem

LINE = 16
"""Bytes in a row of the hexadecimal view."""


async def page(hub: Hub, caller: Caller, wanted: Wanted, limit: int) -> models.QuarantinePage:
    """Rows without their bytes, the latest first; nothing for people of a part of the tree."""
    if not hub.may_see(caller, hub.registers.root):
        return models.QuarantinePage(rows=(), most=quarantine.MAX_ROWS, tallies=(), made_room={})
    rows = await hub.store.read(lambda connection: quarantine.listed(connection, wanted, limit=limit))
    tallies = await hub.store.read(quarantine.tallies)
    made_room = await hub.store.read(quarantine.made_room)
    return models.QuarantinePage(
        rows=tuple(view(row) for row in rows),
        most=quarantine.MAX_ROWS,
        tallies=tuple(
            models.QuarantineTally(protocol=one.protocol, cause=one.cause, rows=one.rows, times=one.times)
            for one in tallies
        ),
        made_room=made_room,
    )


async def item(hub: Hub, caller: Caller, identity: int, reason: str) -> models.QuarantineItem:
    """A row with its bytes: they may hold a code or a place, so that looking needs a reason."""
    row = await _looked_at(hub, caller, identity, reason)
    return models.QuarantineItem(row=view(row), hex=hex_of(row.raw), text=text_of(row.raw))


async def raw(hub: Hub, caller: Caller, identity: int, reason: str) -> Response:
    """The bytes as a file."""
    row = await _looked_at(hub, caller, identity, reason)
    name = f"quarantine-{row.id}-{row.protocol or 'unknown'}.bin"
    headers = {"Content-Disposition": f'attachment; filename="{_plain(name)}"', "Cache-Control": "no-store"}
    return Response(row.raw, headers=headers, media_type="application/octet-stream")


async def replay_one(hub: Hub, caller: Caller, identity: int) -> models.Replayed:
    """Tries a row again."""
    row = await _row(hub, caller, identity)
    await hub.audit(caller, "quarantine.replay", f"quarantine:{identity}")
    return replayed(await hub.replaying.replay([row]))


async def replay_all(hub: Hub, caller: Caller, wanted: Wanted) -> models.Replayed:
    """Tries every row of a filter again, in the order in which they were first heard."""
    await _root_only(hub, caller, "quarantine")
    rows = await hub.store.read(
        lambda connection: quarantine.matching(connection, wanted, limit=quarantine.MAX_ROWS)
    )
    what = f"quarantine:{wanted.protocol or '*'}/{wanted.cause or '*'}"
    await hub.audit(caller, "quarantine.replay", what)
    return replayed(await hub.replaying.replay(rows))


async def discard(hub: Hub, caller: Caller, identity: int, reason: str) -> models.Discarded:
    """Throws a row away, with a reason; the log keeps what it was, without its bytes."""
    row = await _row(hub, caller, identity)
    why = _reason(reason)
    act = act_of(caller, "quarantine.discard", f"quarantine:{identity}", reason=why)

    def job(tx: Transaction) -> bool:
        if not quarantine.discard(tx.connection, identity):
            return False
        tx.append(_discarded(row, why, hub.registers.root, caller.person.name))
        audit_rows.append(tx, act)
        return True

    if not await hub.store.submit(job):
        raise _not_there(identity)
    return models.Discarded(id=identity)


def view(row: Quarantined) -> models.Quarantined:
    """A row as the API shows it."""
    result = result_of(row)
    return models.Quarantined(
        id=row.id,
        first_at=row.first_at,
        at=row.at,
        heard_at=row.heard_at,
        times=row.times,
        protocol=row.protocol,
        peer=row.peer,
        cause=row.cause,
        reason=row.reason,
        size=row.size,
        truncated=row.truncated,
        replayed_at=row.replayed_at,
        outcome=None if result is None else _outcome(result),
    )


def replayed(summary: Summary) -> models.Replayed:
    """What trying again came to, in figures."""
    return models.Replayed(
        tried=len(summary.results),
        understood=summary.count(Came.UNDERSTOOD),
        refused=summary.count(Came.REFUSED),
        truncated=summary.count(Came.TRUNCATED),
        unanswered=summary.count(Came.UNANSWERED),
        observations=summary.observations,
        left=summary.left,
    )


def aware(since: datetime | None) -> datetime | None:
    """An instant of a query; without a zone it is UTC."""
    return since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since


def instant(text: str) -> datetime | None:
    """An instant of a body, RFC 3339; empty: none. Raises `ApiProblem` naming the field."""
    if not text:
        return None
    try:
        return aware(datetime.fromisoformat(text))
    except ValueError:
        raise ApiProblem("invalid", "since:不是时间。", "since: is no instant.", field="since") from None


def hex_of(raw: bytes) -> str:
    """`0000  7e 02 00 …`, 16 bytes a line."""
    lines = (raw[start : start + LINE] for start in range(0, len(raw), LINE))
    return "\n".join(f"{number * LINE:04x}  {line.hex(' ')}" for number, line in enumerate(lines))


def text_of(raw: bytes) -> str:
    """As UTF-8 where it is; what can't be shown stands as `\\xNN`, so that nothing hides in it."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in text)


def _outcome(result: Result) -> models.QuarantineOutcome:
    return models.QuarantineOutcome(came=result.came, observations=result.observations, reason=result.reason)


async def _looked_at(hub: Hub, caller: Caller, identity: int, reason: str) -> Quarantined:
    row = await _row(hub, caller, identity)
    await hub.audit(caller, "quarantine.see", f"quarantine:{identity}", reason=_reason(reason))
    return row


async def _row(hub: Hub, caller: Caller, identity: int) -> Quarantined:
    await _root_only(hub, caller, f"quarantine:{identity}")
    row = await hub.store.read(lambda connection: quarantine.find(connection, identity))
    if row is None:
        raise _not_there(identity)
    return row


async def _root_only(hub: Hub, caller: Caller, what: str) -> None:
    """No place is known of what could not be understood: it is for people of the root alone."""
    await hub.require_seen(caller, hub.registers.root, what)


def _not_there(identity: int) -> ApiProblem:
    return ApiProblem(
        "not_found",
        f"隔离区没有第 {identity} 条,可能已被清理或挤出。",
        f"Quarantine holds no {identity}: it was discarded or made room.",
    )


def _reason(text: str) -> str:
    reason = text.strip()
    if len(reason) < 2:
        raise ApiProblem(
            "reason_needed",
            "原始数据可能含密码或位置,须填写理由。",
            "Raw data may hold a code or a place: say why.",
            field="reason",
        )
    return reason


def _discarded(row: Quarantined, reason: str, root: str, actor: str) -> Draft:
    body = {
        "what": "quarantine",
        "id": str(row.id),
        "action": "removed",
        "reason": reason,
        "protocol": row.protocol,
        "peer": row.peer,
        "cause": row.cause,
        "times": row.times,
        "size": row.size,
        "identity": row.identity,
    }
    return Draft(kind=EntryKind.REGISTER, subject=f"quarantine:{row.id}", place=root, body=body, actor=actor)


def _plain(name: str) -> str:
    return "".join(one if one.isascii() and (one.isalnum() or one in "-.") else "_" for one in name)
