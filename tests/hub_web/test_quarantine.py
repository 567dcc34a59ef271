"""What could not be decoded, over HTTP: no bytes without a reason, tried again, discarded; all audited."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from hub.domain.entry import EntryKind
from hub.store import audit as audit_rows
from hub.store import log as stored_log
from hub.store import quarantine
from hub.store.engine import Transaction
from hub.web.quarantined import hex_of, text_of
from tests.hub_web.conftest import Desk, Running
from wire import codec
from wire.observations import Condition, Observation, PointState

SECRET = b"\x7e\x00code=4711\x1b[2J<script>\xff"


@pytest.fixture
def row(running: Running) -> int:
    """A terminal's frame that could not be read."""

    def keep(tx: Transaction) -> int:
        quarantine.keep(
            tx.connection,
            protocol="jt808",
            peer="10.0.0.7:4711",
            reason="check code is 0x12",
            raw=SECRET,
            size=len(SECRET),
            now=tx.now,
            cause="bad_checksum",
        )
        return max(one.id for one in quarantine.listed(tx.connection, limit=5000))

    return running.do(keep)


def audited(running: Running, action: str) -> list[tuple[str, str]]:
    """Who did it, and why."""
    rows = running.hub.store.query(lambda connection: audit_rows.page(connection, before=None, limit=500))
    return [(one.act.object, one.act.reason) for one in rows if one.act.action == action]


async def test_the_list_holds_no_bytes_and_filters(running: Running, desk: Desk, row: int) -> None:
    async with desk.as_person("fitter") as client:
        page = (await client.get("/quarantine")).json()
        assert row in [one["id"] for one in page["rows"]]
        assert "4711\\u001b" not in str(page) and SECRET.hex() not in str(page) and "code=" not in str(page)
        assert page["most"] == 2000
        assert {"protocol": "jt808", "cause": "bad_checksum", "rows": 1, "times": 1}.items() <= next(
            one for one in page["tallies"] if one["protocol"] == "jt808"
        ).items()
        assert (await client.get("/quarantine?protocol=onvif")).json()["rows"] == []
        assert (await client.get("/quarantine?cause=not_utf8")).json()["rows"] == []
        future = datetime(2099, 1, 1, tzinfo=UTC).isoformat().replace("+00:00", "Z")
        assert (await client.get(f"/quarantine?since={future}")).json()["rows"] == []
        assert (await client.get("/quarantine?since=yesterday")).status_code == 422


async def test_bytes_are_shown_with_a_reason_safely_and_audited(
    running: Running, desk: Desk, row: int
) -> None:
    async with desk.as_person("fitter") as client:
        refused = await client.get(f"/quarantine/{row}")
        assert (refused.status_code, refused.json()["code"]) == (422, "reason_needed")
        shown = (await client.get(f"/quarantine/{row}?reason=核对原文")).json()
        assert shown["hex"].startswith("0000  7e 00 63 6f 64 65")
        assert shown["text"] == "~\\x00code=4711\\x1b[2J<script>\\xff"
        file = await client.get(f"/quarantine/{row}/raw?reason=核对原文")
        assert file.content == SECRET
        assert file.headers["content-disposition"] == f'attachment; filename="quarantine-{row}-jt808.bin"'
        assert file.headers["content-type"] == "application/octet-stream"
        assert (await client.get("/quarantine/999999?reason=xx")).status_code == 404
    assert audited(running, "quarantine.see").count((f"quarantine:{row}", "核对原文")) == 2


@pytest.mark.parametrize(("name", "status"), [("op", 403), ("inspector", 403), ("", 401)])
async def test_others_may_not(desk: Desk, row: int, name: str, status: int) -> None:
    async with desk.as_person(name) as client:
        for answer in (
            await client.get("/quarantine"),
            await client.get(f"/quarantine/{row}?reason=curious"),
            await client.get(f"/quarantine/{row}/raw?reason=curious"),
            await client.post(f"/quarantine/{row}/replay", json={}),
            await client.post("/quarantine/replay", json={}),
            await discard(client, row, "curious"),
        ):
            assert answer.status_code == status, answer.text


async def discard(client: httpx.AsyncClient, row: int, reason: str) -> httpx.Response:
    return await client.request("DELETE", f"/quarantine/{row}", json={"reason": reason})


async def test_discarding_leaves_a_trace_without_the_bytes(running: Running, desk: Desk, row: int) -> None:
    async with desk.as_person("admin") as client:
        assert (await discard(client, row, "")).status_code == 422
        assert (await discard(client, row, "试验数据")).json() == {"id": row}
        assert (await discard(client, row, "试验数据")).status_code == 404
    assert (f"quarantine:{row}", "试验数据") in audited(running, "quarantine.discard")
    entries = running.hub.store.query(
        lambda connection: stored_log.about(connection, [f"quarantine:{row}"], limit=10)
    )
    (told,) = entries
    assert told.kind is EntryKind.REGISTER
    assert (told.actor, told.body["action"], told.body["reason"]) == ("admin", "removed", "试验数据")
    assert told.body["cause"] == "bad_checksum"
    assert "4711\x1b" not in str(told.body) and SECRET.hex() not in str(told.body)


async def test_what_was_our_own_is_tried_again_here(running: Running, desk: Desk) -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    body = PointState(point="zone:1", condition=Condition.HOLD_UP, active=True)
    observation = Observation(source="panel:p-01", body=body, heard_at=at, id="mended-1")
    raw = codec.encode(codec.Envelope(sender="s", epoch="e", seq=1, observation=observation))

    def keep(tx: Transaction) -> None:
        for number, payload in enumerate((raw, b"{}")):
            quarantine.keep(
                tx.connection,
                protocol="bus",
                peer=f"jifang/obs/s{number}",
                reason="x",
                raw=payload,
                size=len(payload),
                now=tx.now,
                cause="not_ours",
            )

    running.do(keep)
    before = len(running.hub.desk.snapshot().incidents)
    async with desk.as_person("fitter") as client:
        asked = {"protocol": "bus", "cause": "not_ours"}
        told = (await client.post("/quarantine/replay", json=asked)).json()
        assert (told["tried"], told["understood"], told["refused"], told["observations"]) == (2, 1, 1, 1)
        again = (await client.post("/quarantine/replay", json=asked)).json()
        assert (again["understood"], again["observations"]) == (1, 0), "trying twice doubles nothing"
        rows = (await client.get("/quarantine?protocol=bus&cause=not_ours")).json()["rows"]
        assert {one["outcome"]["came"] for one in rows} == {"understood", "refused"}
        assert (await client.get("/quarantine?protocol=bus&cause=not_ours&untried=true")).json()["rows"] == []
        wrong = await client.post("/quarantine/replay", json={"since": "yesterday"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "since")
    stored = running.hub.store.query(
        lambda connection: stored_log.about(connection, ["panel:p-01"], limit=1000)
    )
    found = [entry for entry in stored if entry.body.get("id") == "mended-1"]
    assert [entry.late for entry in found] == [True]
    assert len(running.hub.desk.snapshot().incidents) == before, "history raises nothing"
    assert audited(running, "quarantine.replay")


def test_bytes_as_text_hide_nothing() -> None:
    assert text_of("防区\n1\u202e\x1b".encode()) == "防区\n1\\x202e\\x1b"
    assert hex_of(b"") == ""
    assert hex_of(bytes(range(17))).splitlines()[1] == "0010  10"
