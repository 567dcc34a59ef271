"""Health, readiness, metrics, headers, console files, logs without secrets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import structlog

from hub.accounts import NewPerson, create_person
from hub.store.engine import Store
from hub.web.openapi import main as print_openapi
from tests.hub_web.conftest import PASSWORD, Desk, Running, start_hub
from tests.hub_web.listening import listening
from wire import journal


async def test_ready_without_a_broker_and_says_so(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.base) as client:
        assert (await client.get("/healthz")).json()["ok"] is True
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert checks["store"] == "ok"
    assert checks["broker"] == "not connected"


async def test_not_ready_where_the_store_cannot_write(tmp_path: Path, free_port: Callable[[], int]) -> None:
    hub = start_hub(tmp_path, free_port())
    try:

        def lock(tx: object) -> None:
            tx.connection.exec_driver_sql("pragma query_only=on")  # type: ignore[attr-defined]

        hub.do(lock)
        async with httpx.AsyncClient(base_url=hub.base, timeout=20) as client:
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["checks"]["store"] == "cannot write: read_only"
            assert [one["code"] for one in answer.json()["troubles"] if one["part"] == "store"] == [
                "read_only"
            ]
            assert (await client.get("/healthz")).status_code == 200
            refused = await client.post("/api/v1/session", json={"name": "x", "password": "y"})
            assert refused.status_code == 503
            assert refused.json()["code"] == "store_unavailable"
    finally:
        hub.stop()


async def test_metrics_count_by_kind_cause_and_route(running: Running, desk: Desk) -> None:
    running.alarm("p-01")
    async with desk.as_person("op") as client:
        await client.get("/incidents/none")
        text = (await client.get(f"{running.base}/metrics")).text
    for line in (
        'jifang_observations_total{kind="point"}',
        'jifang_entries_total{kind="condition"}',
        'jifang_http_answers_total{method="GET",route="/api/v1/incidents/{incident}",status="404"}',
        'jifang_http_problems_total{code="not_found"}',
        'jifang_sign_ins_total{outcome="ok"}',
        'jifang_panels{health="unknown"}',
        "jifang_broker_up 0.0",
    ):
        assert line in text, line


async def test_every_answer_has_the_security_headers(running: Running, desk: Desk) -> None:
    async with desk.as_person("op") as client:
        for url in ("/", "/api/v1/snapshot", "/api/v1/nothing", "/healthz", "/assets/app-1a2b.js"):
            headers = (await client.get(f"{running.base}{url}")).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"


async def test_console_files_are_served_and_its_own_paths_lead_to_its_front_page(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.base) as client:
        front = await client.get("/")
        assert "<title>Jifang</title>" in front.text
        assert front.headers["cache-control"] == "no-cache"
        assert (await client.get("/desk/2026-1121-0001")).text == front.text
        script = await client.get("/assets/app-1a2b.js")
        assert "immutable" in script.headers["cache-control"]
        assert (await client.get("/assets/none.js")).status_code == 404
        for path in ("/../hub.db", "/%2e%2e/hub.db", "/..%2fhub.db", "//etc/passwd"):
            answer = await client.get(path)
            assert answer.status_code == 404 or answer.text == front.text
        assert (await client.post("/")).status_code == 405


async def test_openapi_is_served_and_equals_what_the_command_prints(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    print_openapi()
    printed = json.loads(capsys.readouterr().out)
    async with httpx.AsyncClient(base_url=running.base) as client:
        assert (await client.get("/openapi.json")).json() == printed
    schemas = printed["components"]["schemas"]
    assert {"Snapshot", "FeedEntry", "Beat", "Gap", "Resume", "IncidentChange", "Problem"} <= schemas.keys()
    assert set(schemas["Gap"]["properties"]) == {"from", "to", "reason"}
    references = set(json.dumps(printed).split('"#/components/schemas/')[1:])
    assert {one.split('"')[0] for one in references} <= schemas.keys()


def test_the_document_needs_no_server() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub.web.openapi"], capture_output=True, check=True, timeout=60
    )
    assert json.loads(done.stdout)["openapi"].startswith("3.1")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the configured log writes."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    journal.configure("test")
    out = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(out)
    yield out
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_are_json_lines_without_secrets(written: io.StringIO) -> None:
    log = structlog.get_logger("somewhere")
    secret = "hunter2-secret"
    log.info(
        "camera added",
        password=secret,
        user="viewer",
        nested={"api_token": secret, "list": [{"passwd": secret}]},
    )
    log.warning("failed", url=f"rtsp://viewer:{secret}@10.0.0.1/main", cookie=f"jifang={secret}")
    log.info(f"GET / with Cookie: jifang={secret}; path=/")
    log.info("header", line=f"Authorization: Digest {secret}")
    log.info("bytes", raw=f"http://u:{secret}@h/".encode())
    try:
        raise ValueError(f"no route to rtsp://viewer:{secret}@10.0.0.1/")
    except ValueError:
        log.exception("pull failed")
    logging.getLogger("some.library").warning("connecting to mqtt://edge:%s@broker", secret)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert len(lines) == 7
    assert secret not in written.getvalue()
    assert all(line["process"] == "test" and line["level"] and line["timestamp"] for line in lines)
    assert lines[0]["user"] == "viewer" and lines[0]["password"] == "***"
    assert "10.0.0.1" in lines[1]["url"]
    assert "ValueError" in lines[5]["exception"]


def test_nothing_secret_reaches_the_log_of_a_hub(running: Running) -> None:
    """The store of this hub holds a camera's password sealed, and nowhere in the clear."""
    path = running.hub.store.query(lambda c: c.execute(sa.text("pragma database_list")).first())
    assert path is not None
    for file in Path(path[2]).parent.glob("hub.db*"):
        assert b"s3cret-pw" not in file.read_bytes()


HUB = """
import sys
from pathlib import Path
from hub.app import HubSettings, main
from wire.bus import Broker
folder, port = Path(sys.argv[1]), int(sys.argv[2])
broker = Broker(host="127.0.0.1", port=9)
url = f"sqlite:///{folder / 'hub.db'}"
main(HubSettings(data=folder, store_url=url, broker=broker, http_host="127.0.0.1", http_port=port))
"""


async def test_the_process_stops_on_sigterm_with_consoles_connected_and_comes_back(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    store = Store.open(f"sqlite:///{tmp_path / 'hub.db'}")
    person = NewPerson(name="wang", display_name="", password=PASSWORD, roles=("operator",), place="")
    await create_person(store, person)
    store.close()
    for _ in range(2):
        process = start_process(tmp_path, port)
        async with httpx.AsyncClient(base_url=f"{base}/api/v1", timeout=20) as client:
            await ready(client, base)
            signed_in = await client.post("/session", json={"name": "wang", "password": PASSWORD})
            assert signed_in.status_code == 200
            async with listening(client) as ear:
                await ear.until(lambda one: one.named("beat"))
                process.send_signal(signal.SIGTERM)
                await ear.until(lambda one: one.ended, 5)
        _, written = await asyncio.to_thread(process.communicate, timeout=15)
        assert process.returncode == 0, written
        lines = [json.loads(line) for line in written.splitlines()]
        assert lines[-1]["event"] == "hub stopped"
        assert not [line for line in lines if line["level"] in ("error", "critical")]
        assert PASSWORD not in written


def start_process(folder: Path, port: int) -> subprocess.Popen[str]:
    """A hub as a process of its own."""
    command = [sys.executable, "-c", HUB, str(folder), str(port)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


async def ready(client: httpx.AsyncClient, base: str, within_s: float = 30.0) -> None:
    """Waits until a hub says that it can store."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                if (await client.get(f"{base}/readyz")).is_success:
                    return
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
