"""One panel alarm in a real browser: from the MQTT message to the queue, claim, dispatch, arrival, closing.

Leaves screenshots in `artefacts/`. The panel is a real one to the hub: added through the API as an installer
would, and speaking Home Assistant's convention to the product's own broker.
"""

from __future__ import annotations

import json
import uuid
from math import cos, hypot, radians
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Page, expect

from tests.whole.consoles import shot
from tests.whole.running import Api, RunningDemo, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


class HomeAssistantPanel:
    """A panel of Home Assistant's convention, speaking as a device would."""

    def __init__(self, demo: RunningDemo, node: str) -> None:
        self.node = node
        broker = demo.field_broker
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=node)
        self._client.username_pw_set(broker.user, broker.password)
        self._client.will_set(f"test/{node}/online", "offline", qos=1, retain=True)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        self._discover()

    def say(self, topic: str, payload: str, retain: bool = True) -> None:
        """Publishes at QoS 1 and waits for the broker's acknowledgement."""
        self._client.publish(f"test/{self.node}/{topic}", payload, qos=1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        """Leaves politely."""
        self._client.disconnect()
        self._client.loop_stop()

    def _discover(self) -> None:
        shared = {
            "availability_topic": f"test/{self.node}/online",
            "device": {"identifiers": [self.node], "name": "测试报警主机"},
        }
        alarm = {"unique_id": f"{self.node}_alarm", "state_topic": f"test/{self.node}/alarm", **shared}
        alarm["command_topic"] = f"test/{self.node}/set"
        zone = {"unique_id": f"{self.node}_zone_3", "device_class": "motion", **shared}
        zone |= {"state_topic": f"test/{self.node}/zone_3", "name": "北门"}
        for component, name, config in (
            ("alarm_control_panel", "alarm", alarm),
            ("binary_sensor", "zone_3", zone),
        ):
            topic = f"homeassistant/{component}/{self.node}/{name}/config"
            self._client.publish(topic, json.dumps(config), qos=1, retain=True).wait_for_publish(10)
        self.say("online", "online")
        self.say("alarm", "disarmed")
        self.say("zone_3", "OFF")


def test_an_alarm_from_the_mqtt_message_to_closed(page: Page, demo: RunningDemo) -> None:
    api = demo.api()
    node = f"test-{uuid.uuid4().hex[:6]}"
    unit = until(lambda: free_unit(api), 60, "a free unit with a position")
    place = beside_a_road(api, unit["lat"], unit["lon"])
    api.post(
        "/panels",
        {
            "id": node,
            "name": "测试商铺报警主机",
            "convention": "homeassistant",
            "topic": node,
            "zones": [{"key": "zone_3", "name": "北门", "condition": "intrusion"}],
            **place,
        },
    )
    panel = HomeAssistantPanel(demo, node)
    try:
        panel.say("alarm", "armed_away")
        until(
            lambda: any(
                one["id"] == node and one["armed"] == "armed_away" for one in api.snapshot()["panels"]
            ),
            30,
            "the hub knows the panel as armed",
        )
        panel.say("zone_3", "ON")
        panel.say("alarm", "triggered")
        _follow(page, api_incident(api, node))
    finally:
        panel.close()


def free_unit(api: Api) -> dict[str, Any] | None:
    """A unit that can be sent, and whose position is known."""
    for unit in api.snapshot()["units"]:
        if unit["link"] == "online" and unit["lat"] is not None and not unit["incident"]:
            return dict(unit)
    return None


def beside_a_road(api: Api, lat: float, lon: float) -> dict[str, float]:
    """A place on a road some way from the car, so that it has to drive and can be seen arriving."""
    lines = (
        feature["geometry"]["coordinates"]
        for feature in api.get("/map")["features"]
        if feature["geometry"]["type"] == "LineString"
    )
    spots = [(abs(metres(lat, lon, y, x) - 400), y, x) for line in lines for x, y in line]
    _, y, x = min(spots)
    return {"lat": y, "lon": x}


def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Distance on the small scale of a district."""
    east = (other_lon - lon) * cos(radians(lat))
    return hypot(other_lat - lat, east) * 111_195


def api_incident(api: Api, node: str) -> str:
    """The incident that the panel's alarm opened."""

    def look() -> str | None:
        for condition in api.snapshot()["conditions"]:
            if condition["source"] == f"panel:{node}" and condition["incident"]:
                return str(condition["incident"])
        return None

    return str(until(look, 20, "the alarm opened an incident"))


_WATCH_BOTH = """incident => {
    const row = document.querySelector(`[data-testid="incident-row"][data-id="${incident}"]`);
    const panel = document.querySelector('[data-testid="incident-panel"]');
    window.seenTogether = [];
    const look = () => window.seenTogether.push([row.dataset.state, panel.dataset.state]);
    new MutationObserver(look).observe(row, { attributeFilter: ["data-state"] });
}"""
"""Notes what list and open incident say whenever the list changes: a key must never find the older of two."""


def _follow(page: Page, incident: str) -> None:
    row = page.locator(f'[data-testid="incident-row"][data-id="{incident}"]')
    expect(row).to_be_visible(timeout=10_000)
    shot(page, "desk-1-new")
    row.click()
    expect(page.get_by_test_id("live-video")).to_have_attribute("data-state", "live", timeout=30_000)
    page.evaluate(_WATCH_BOTH, incident)
    page.get_by_test_id("act-claim").click()
    expect(row).to_have_attribute("data-state", "triage", timeout=10_000)
    assert page.evaluate("window.seenTogether") == [["triage", "triage"]]
    page.keyboard.press("v")
    expect(row).to_have_attribute("data-state", "pending", timeout=10_000)
    page.keyboard.press("d")
    page.get_by_test_id("unit-option").first.wait_for()
    shot(page, "desk-2-recommended")
    page.keyboard.press("1")
    expect(row).to_have_attribute("data-state", "active", timeout=10_000)
    shot(page, "desk-3-dispatched")
    expect(page.get_by_test_id("assignment").first).to_have_attribute(
        "data-state", "on_scene", timeout=240_000
    )
    shot(page, "desk-4-on-scene")
    page.get_by_test_id("act-clear").first.click()
    expect(row).to_have_attribute("data-state", "handled", timeout=10_000)
    page.get_by_test_id("act-close").click()
    page.get_by_test_id("close-outcome").fill("到场检查，嫌疑人已控制")
    page.get_by_test_id("close-outcome-submit").click()
    expect(row).to_have_count(0, timeout=10_000)
    shot(page, "desk-5-closed")
