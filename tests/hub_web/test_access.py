"""Deny by default: every route, every role, every district."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from hub.access import GRANTS, Person, Right, Role, decide, kinds_for, may_accept_own_work
from hub.domain.entry import EntryKind
from hub.web.application import api_routes, build
from hub.web.guard import declared, guarded_router
from tests.hub_web.conftest import PEOPLE, Desk, Running

PUBLIC = {"/api/v1/session POST", "/healthz GET", "/readyz GET", "/metrics GET", "/openapi.json GET"}
ROUTES = [(route, method) for route in api_routes(build()) for method in sorted(route.methods or ())]
WHO = {
    "op": Role.OPERATOR,
    "fitter": Role.INSTALLER,
    "inspector": Role.INSPECTOR,
    "admin": Role.ADMINISTRATOR,
}


def concrete(route: APIRoute) -> str:
    """A path that leads to the route, naming things that don't exist."""
    return re.sub(r"\{[^}]+\}", "0" * 64, route.path)


def test_every_route_says_what_it_needs_and_only_the_known_ones_are_public() -> None:
    assert len(ROUTES) >= 38
    assert all(declared(route) is not None for route, _ in ROUTES)
    public = {f"{route.path} {method}" for route, method in ROUTES if declared(route) is Right.PUBLIC}
    assert public == PUBLIC


async def test_without_a_session_everything_else_is_401(desk: Desk) -> None:
    async with desk.as_person() as client:
        for route, method in ROUTES:
            if f"{route.path} {method}" in PUBLIC:
                continue
            answer = await client.request(method, f"{desk.base}{concrete(route)}", content=b"{broken")
            assert answer.status_code == 401, (method, route.path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "not_signed_in"


@pytest.mark.parametrize("name", WHO)
async def test_each_role_gets_what_the_decision_point_grants_and_nothing_else(desk: Desk, name: str) -> None:
    role = WHO[name]
    async with desk.as_person(name) as client:
        for route, method in ROUTES:
            right = declared(route)
            if right is Right.PUBLIC or route.path.endswith(("/feed", "/session")):
                continue
            answer = await client.request(method, f"{desk.base}{concrete(route)}", json={})
            allowed = right in GRANTS[role]
            assert (answer.status_code != 403) is allowed, (role, method, route.path, answer.text)
            assert answer.status_code < 500 or answer.status_code == 502, (method, route.path, answer.text)


def test_a_route_that_names_no_right_is_closed_to_everyone() -> None:
    assert not decide(_person(*Role), None).allowed
    router: APIRouter = guarded_router("forgotten")

    @router.get("/forgotten")
    async def forgotten() -> dict[str, Any]:
        return {}

    (route,) = (one for one in router.routes if isinstance(one, APIRoute))
    assert declared(route) is None


def test_roles_are_separate() -> None:
    assert not may_accept_own_work(_person(Role.INSTALLER, Role.OPERATOR))
    assert may_accept_own_work(_person(Role.INSTALLER, Role.INSPECTOR))
    assert Right.INCIDENTS_ACT not in GRANTS[Role.ADMINISTRATOR] | GRANTS[Role.INSPECTOR]
    assert Right.AUDIT not in GRANTS[Role.OPERATOR] | GRANTS[Role.INSTALLER]
    assert EntryKind.INCIDENT not in kinds_for(_person(Role.INSTALLER))
    assert kinds_for(_person()) == frozenset()
    assert not decide(_person(), Right.FEED).allowed


def test_a_place_outside_and_no_place_are_denied() -> None:
    def contains(outer: str, inner: str) -> bool:
        return (outer, inner) == ("xz", "xz-gulou")

    person = _person(Role.OPERATOR)
    assert decide(person, Right.VIDEO, place="xz-gulou", contains=contains).allowed
    assert not decide(person, Right.VIDEO, place="elsewhere", contains=contains).allowed
    assert not decide(person, Right.VIDEO, place="", contains=contains).allowed


def _person(*roles: Role) -> Person:
    return Person(name="x", display_name="x", roles=tuple(roles), place="xz", place_name="")


async def test_another_districts_things_are_404_and_the_attempt_is_written_down(
    running: Running, desk: Desk
) -> None:
    ours, theirs = running.alarm("p-01"), running.alarm("p-02")
    assert ours is not None and theirs is not None
    async with desk.as_person("op-yunlong") as client:
        assert (await client.get(f"/incidents/{ours.id}")).status_code == 200
        for method, path, body in (
            ("GET", f"/incidents/{theirs.id}", None),
            ("POST", f"/incidents/{theirs.id}/claim", {"version": theirs.version}),
            ("POST", f"/conditions/{theirs.conditions[0]}/ack", {}),
            ("GET", "/cameras/c-02/still?reason=look", None),
            ("POST", "/cameras/c-02/whep?reason=look", None),
        ):
            answer = await client.request(method, path, json=body)
            assert answer.status_code == 404, (path, answer.text)
        listed = (await client.get("/incidents")).json()
        snapshot = (await client.get("/snapshot")).json()
        devices = (await client.get("/devices")).json()
        features = (await client.get("/map")).json()["features"]
    assert theirs.id not in {one["id"] for one in listed + snapshot["incidents"]}
    assert {one["place"] for one in snapshot["conditions"] + snapshot["units"]} == {"xz-yunlong"}
    cameras = snapshot["cameras"] + devices["cameras"]
    assert cameras and {one["place"] for one in cameras} == {"xz-yunlong"}
    assert {one["id"] for one in devices["panels"]} == {"p-01"}
    assert {one["id"] for one in devices["trackers"]} == {"u-0121"}
    sites = {one["properties"]["id"] for one in features if one["properties"]["kind"] == "site"}
    assert sites == {"market"}
    async with desk.as_person("inspector") as client:
        rows = (await client.get("/audit?limit=200")).json()["rows"]
    denials = [row for row in rows if row["action"] == "denied" and row["person"] == "op-yunlong"]
    assert {"camera:c-02", f"incident:{theirs.id}"} <= {row["object"] for row in denials}


async def test_a_unit_of_another_district_cannot_be_ordered(running: Running, desk: Desk) -> None:
    incident = running.alarm("p-01")
    assert incident is not None
    async with desk.as_person("op-yunlong") as client:
        answer = await client.post(
            f"/incidents/{incident.id}/dispatch", json={"version": incident.version, "unit": "u-0122"}
        )
    assert answer.status_code == 404


async def test_requests_of_other_sites_are_refused(desk: Desk) -> None:
    async with desk.as_person("op") as client:
        answer = await client.post(
            "/feed/rendered", json={"seq": 1}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code == 403
        assert answer.json()["code"] == "cross_site"
        form = await client.post(
            "/feed/rendered",
            content=b'{"seq": 1}',
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert form.status_code == 415


def test_the_people_of_these_tests_cover_every_role() -> None:
    assert {role for roles, _ in PEOPLE.values() for role in roles} == {role.value for role in Role}
