"""Bad input over HTTP: refused as a problem that names the field, and the server lives."""

from __future__ import annotations

import json
import random
import socket
from contextlib import suppress

import httpx
import pytest

from hub.web.problems import CATALOGUE, wants_chinese
from tests.hub_web.conftest import Desk, Running


def is_problem(answer: httpx.Response) -> bool:
    """Whether an answer is a whole problem document."""
    body = answer.json()
    return (
        answer.headers["content-type"] == "application/problem+json"
        and body["status"] == answer.status_code
        and body["code"] in CATALOGUE
        and bool(body["title"] and body["detail"])
    )


async def alive(desk: Desk) -> bool:
    """Whether the server answers the next one."""
    async with desk.as_person("chief") as client:
        return (await client.get("/session")).status_code == 200


CHANGING = (
    ("/session", "op"),
    ("/feed/rendered", "op"),
    ("/incidents/2026-1121-0001/claim", "op"),
    ("/incidents/2026-1121-0001/dispatch", "op"),
    ("/cameras", "chief"),
    ("/panels", "chief"),
    ("/trackers", "chief"),
    ("/devices/camera:c-01/acceptance", "chief"),
    ("/people", "chief"),
    ("/sitefile", "chief"),
)
RANDOM = random.Random(799)
BODIES = (
    RANDOM.randbytes(300),
    b"\xff\xfe\x00{",
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b'{"version": "seven", "name": 7, "seq": [], "places": {}, "video_seen": "yes"}',
    b'{"version": 1e400}',
    b'{"unknown": 1}',
    ('{"name": ' * 500 + "1" + "}" * 500).encode(),
    json.dumps({"name": "\ud800", "password": "x"}).encode(),
)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_every_changing_call_refuses_garbage_with_a_problem(desk: Desk, body: bytes) -> None:
    for path, name in CHANGING:
        async with desk.as_person(name) as client:
            answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
            accepts_empty = path.endswith("acceptance")
            assert 400 <= answer.status_code < 500 or accepts_empty, (path, body[:30], answer.text)
            assert is_problem(answer), (path, answer.text)
    assert await alive(desk)


@pytest.mark.parametrize("body", [b"", b"v=0\r\n", RANDOM.randbytes(2000), b"v=0\r\nm=video 9 x y\r\n" * 50])
async def test_garbage_for_an_sdp_is_refused(desk: Desk, body: bytes) -> None:
    async with desk.as_person("op") as client:
        answer = await client.post(
            "/cameras/c-01/whep?reason=test", content=body, headers={"Content-Type": "application/sdp"}
        )
        assert answer.status_code == 400, answer.text
        assert is_problem(answer)
        wrong = await client.post("/cameras/c-01/whep?reason=test", json={"sdp": "x"})
        assert wrong.status_code == 415


async def test_ten_megabytes_are_refused_announced_or_not(desk: Desk) -> None:
    async with desk.as_person("op") as client:
        big = b'{"name": "' + b"x" * 10_000_000 + b'"}'
        answer = await client.post("/session", content=big, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert is_problem(answer)

        async def pieces() -> object:
            for start in range(0, len(big), 65536):
                yield big[start : start + 65536]

        answer = await client.post(
            "/session",
            content=pieces(),  # type: ignore[arg-type]
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 413
        assert is_problem(answer)
    assert await alive(desk)


async def test_wrong_paths_methods_and_queries_are_problems(desk: Desk) -> None:
    async with desk.as_person("chief") as client:
        for method, path, status in (
            ("GET", "/nothing", 404),
            ("PATCH", "/session", 405),
            ("GET", "/incidents?state=odd", 422),
            ("GET", "/incidents?limit=0", 422),
            ("GET", "/feed?after=-1", 422),
            ("GET", "/coverage?as_of=yesterday", 422),
            ("GET", "/coverage?as_of=2026-11-21T00:00:00", 422),
            ("GET", "/coverage/none", 404),
            ("GET", "/stills/xyz", 422),
            ("GET", f"/incidents/{'x' * 100}", 422),
            ("GET", "/log?kind=odd", 422),
        ):
            answer = await client.request(method, path)
            assert answer.status_code == status, (path, answer.text)
            assert is_problem(answer)


async def test_a_wrong_field_is_named_in_the_readers_language(desk: Desk) -> None:
    async with desk.as_person("chief") as client:
        body = {"name": "x", "convention": "homeassistant", "topic": "t", "zones": [{"key": 7}]}
        chinese = (await client.post("/panels", json=body, headers={"Accept-Language": "zh-CN"})).json()
        english = (await client.post("/panels", json=body, headers={"Accept-Language": "en-GB"})).json()
    assert chinese["field"] == english["field"] == "zones.0.key"
    assert chinese["title"] == "内容有误" and "应为文字" in chinese["detail"]
    assert english["title"] == "The content is not valid" and "must be text" in english["detail"]


@pytest.mark.parametrize(
    ("header", "chinese"),
    [
        ("", True),
        ("zh-CN", True),
        ("en", False),
        ("en;q=0.5, zh;q=0.9", True),
        ("de, en-GB", False),
        ("x;q=y", True),
    ],
)
def test_language_is_the_readers_first_choice(header: str, chinese: bool) -> None:
    assert wants_chinese(header) is chinese


def talk(running: Running, raw: bytes, *, until_close: bool = True) -> bytes:
    """Sends raw bytes on a connection of its own; what came back."""
    port = int(running.base.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(raw)
        heard = b""
        while part := connection.recv(65536):
            heard += part
            if not until_close:
                break
    return heard


async def test_what_is_no_http_is_refused_and_the_server_lives(running: Running, desk: Desk) -> None:
    for raw in (
        RANDOM.randbytes(500) + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        assert b"400 Bad Request" in talk(running, raw)
    endless = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000
    with suppress(ConnectionResetError):  # cut off while still sending: it may not see the answer
        assert talk(running, endless).startswith(b"HTTP/1.1 431 ")
    big = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"
    assert talk(running, big, until_close=False).startswith(b"HTTP/1.1 431 ")
    assert await alive(desk)
