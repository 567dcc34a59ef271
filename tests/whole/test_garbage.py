"""Garbage on every listener: counted with its cause, and nothing stops."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Callable

import httpx
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.whole.running import RunningDemo, until

pytestmark = pytest.mark.timeout(300)

NOISE = random.Random(20061231)
PAYLOADS = {
    "random bytes": NOISE.randbytes(300),
    "not UTF-8": b"\xff\xfe\x00\xd8",
    "truncated JSON": b'{"_type": "location", "lat": 34.2',
    "wrong types": b'{"_type": "location", "lat": "north", "lon": [], "tst": {}}',
    "empty": b"",
    "10 MB": b"A" * 10_000_000,
}
FRAMES = {
    "random bytes": NOISE.randbytes(2000),
    "truncated frame": bytes.fromhex("7e0200003801391234567800"),
    "wrong check code": bytes.fromhex("7e000200000139123456780001ff7e"),
    "escape at the end": bytes.fromhex("7e0002000001391234567800017d7e"),
    "10 MB without an end": b"\x7e" + b"\x01" * 10_000_000,
    "HTTP at the wrong port": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


DISCOVERY = "homeassistant/binary_sensor/junk/zone/config"
# An empty discovery payload isn't garbage: it is the convention's word for removal.
CASES = [("owntracks/nobody/phone", "owntracks", name) for name in PAYLOADS] + [
    (DISCOVERY, "homeassistant", name) for name in PAYLOADS if PAYLOADS[name]
]


def rejected(demo: RunningDemo) -> dict[str, float]:
    """`jifang_rejected_total` by its labels."""
    text = httpx.get(f"{demo.base}/metrics").text
    return {found[0]: float(found[1]) for found in re.findall(r"jifang_rejected_total\{(.*?)\} (\S+)", text)}


def counted_more(demo: RunningDemo, before: dict[str, float], protocol: str) -> Callable[[], bool]:
    """Whether the metric of `protocol` grew."""

    def look() -> bool:
        now = rejected(demo)
        return any(now[key] > before.get(key, 0) for key in now if protocol in key)

    return look


@pytest.mark.parametrize(("topic", "protocol", "name"), CASES)
def test_garbage_over_mqtt(demo: RunningDemo, topic: str, protocol: str, name: str) -> None:
    before = rejected(demo)
    broker = demo.field_broker
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(broker.user, broker.password)
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.publish(topic, PAYLOADS[name], qos=1).wait_for_publish(30)
    client.disconnect()
    client.loop_stop()
    until(counted_more(demo, before, protocol), 20, f"{name} on {topic} is counted")
    assert alive(demo)


@pytest.mark.parametrize("name", FRAMES)
def test_garbage_at_the_jt808_listener(demo: RunningDemo, name: str) -> None:
    before = rejected(demo)
    listener = demo.settings.jt808
    with socket.create_connection((listener.host, listener.port), 5) as connection:
        connection.settimeout(10)
        try:
            connection.sendall(FRAMES[name])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
        except (ConnectionError, TimeoutError):
            pass
    until(counted_more(demo, before, "jt808"), 20, f"{name} is counted")
    assert alive(demo)


@pytest.mark.parametrize(
    "body", [NOISE.randbytes(300), b"\xff\xfe", b'{"name": 1}', b"[" * 100_000, b"A" * 10_000_000]
)
def test_garbage_at_the_api(demo: RunningDemo, body: bytes) -> None:
    answer = httpx.post(
        f"{demo.base}/api/v1/session", content=body, headers={"Content-Type": "application/json"}, timeout=30
    )
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert alive(demo)


@pytest.mark.parametrize("port_of", ["broker", "http"])
def test_random_bytes_at_a_tcp_port(demo: RunningDemo, port_of: str) -> None:
    where = demo.settings.broker if port_of == "broker" else demo.settings.http
    with socket.create_connection((where.host, where.port), 5) as connection:
        connection.sendall(NOISE.randbytes(5000))
    assert alive(demo)


def alive(demo: RunningDemo) -> bool:
    """The hub stores, and every part of the product is up."""
    parts = demo.api().snapshot()["hub"]["parts"]
    return httpx.get(f"{demo.base}/readyz").is_success and all(part["up"] for part in parts)
