"""The one decision point: who may do what, where. Deny by default (docs/design/access.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from hub.domain.entry import EntryKind

EVERYWHERE = ""
"""A person's place that means the whole tree; on a thing, an empty place means that only they see it."""


class Role(StrEnum):
    """What a person is to the hub; one may hold several."""

    OPERATOR = "operator"
    """值班员: sits at the 110 desk."""
    INSTALLER = "installer"
    """施工员: sets up and mends devices."""
    INSPECTOR = "inspector"
    """检查员: accepts devices, reads log and audit; changes nothing else."""
    ADMINISTRATOR = "administrator"
    """管理员: accounts and registers. Handles no incidents."""


class Right(StrEnum):
    """What a route asks for. A route that names none is closed to everyone."""

    PUBLIC = "public"
    """No session needed: signing in, health, metrics, the API's own description."""
    SELF = "self"
    """Any signed-in person, about their own session."""
    FEED = "feed.see"
    """Snapshot and live feed; `kinds_for` says which kinds of entry."""
    INCIDENTS_SEE = "incidents.see"
    INCIDENTS_ACT = "incidents.act"
    VIDEO = "video.see"
    """Live video and stills; each view with a reason, each audited."""
    DEVICES_SEE = "devices.see"
    DEVICES_CHANGE = "devices.change"
    DEVICES_ACCEPT = "devices.accept"
    """Evidence for rung L2. An installer accepts in the field, but never what they registered themselves."""
    MAP = "map.see"
    COVERAGE = "coverage.see"
    LOG = "log.see"
    AUDIT = "audit.see"
    PEOPLE = "people.change"
    QUARANTINE = "quarantine.see"


_EVERYONE = frozenset({Right.SELF, Right.FEED, Right.DEVICES_SEE, Right.MAP, Right.COVERAGE})

GRANTS: Mapping[Role, frozenset[Right]] = {
    Role.OPERATOR: _EVERYONE | {Right.INCIDENTS_SEE, Right.INCIDENTS_ACT, Right.VIDEO},
    Role.INSTALLER: _EVERYONE | {Right.DEVICES_CHANGE, Right.DEVICES_ACCEPT, Right.VIDEO, Right.QUARANTINE},
    Role.INSPECTOR: _EVERYONE
    | {Right.INCIDENTS_SEE, Right.VIDEO, Right.DEVICES_ACCEPT, Right.LOG, Right.AUDIT},
    Role.ADMINISTRATOR: _EVERYONE
    | {
        Right.INCIDENTS_SEE,
        Right.DEVICES_CHANGE,
        Right.DEVICES_ACCEPT,
        Right.LOG,
        Right.AUDIT,
        Right.PEOPLE,
        Right.QUARANTINE,
    },
}

_DEVICE_KINDS = frozenset({EntryKind.CAMERA, EntryKind.PANEL, EntryKind.HUB, EntryKind.REGISTER})
_DESK_KINDS = frozenset(EntryKind) - {EntryKind.KEEPING}
_LOG_KINDS = frozenset({EntryKind.KEEPING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is asking. `place` is the root of what they may see."""

    name: str
    display_name: str
    roles: tuple[Role, ...]
    place: str
    place_name: str


Contains: TypeAlias = Callable[[str, str], bool]
"""`contains(outer, inner)`: whether place `inner` is `outer` or lies under it. Unknown places lie nowhere."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, with the reason that goes into the audit log."""

    allowed: bool
    reason: str


def rights_of(person: Person) -> frozenset[Right]:
    """Everything the person's roles grant."""
    return frozenset().union(*(GRANTS.get(role, frozenset()) for role in person.roles))


def may_accept_own_work(person: Person) -> bool:
    """Whether a role other than the installer's lets them accept; then who registered it doesn't matter."""
    independent = (role for role in person.roles if role is not Role.INSTALLER)
    return any(Right.DEVICES_ACCEPT in GRANTS.get(role, frozenset()) for role in independent)


def decide(
    person: Person | None, right: Right | None, *, place: str | None = None, contains: Contains | None = None
) -> Decision:
    """Whether `person` may use `right`, and on a thing at `place` where one is given.

    `person` None: nobody is signed in. `right` None: the route forgot to say what it needs.
    """
    if right is None:
        return Decision(False, "route names no right")
    if right is Right.PUBLIC:
        return Decision(True, "public")
    if person is None:
        return Decision(False, "no session")
    if right not in rights_of(person):
        return Decision(False, f"no role of {person.name} grants {right.value}")
    if place is not None and not covers(person.place, place, contains):
        return Decision(False, f"{place or 'no place'} is outside {person.place}")
    return Decision(True, right.value)


def covers(root: str, place: str, contains: Contains | None) -> bool:
    """Whether a jurisdiction that begins at `root` takes in things at `place`."""
    if root == EVERYWHERE:
        return True
    if not place:
        return False
    return place == root or (contains is not None and contains(root, place))


def kinds_for(person: Person) -> frozenset[EntryKind]:
    """Kinds of entry the person's feed carries."""
    rights = rights_of(person)
    kinds: frozenset[EntryKind] = frozenset()
    if Right.INCIDENTS_SEE in rights:
        kinds |= _DESK_KINDS
    if Right.DEVICES_SEE in rights:
        kinds |= _DEVICE_KINDS
    if Right.LOG in rights:
        kinds |= _LOG_KINDS
    return kinds


def parse_roles(names: Iterable[str]) -> tuple[Role, ...]:
    """Role names as roles, in the order of `Role`, once each. Raises `ValueError` naming the unknown one."""
    wanted = set()
    for name in names:
        try:
            wanted.add(Role(name))
        except ValueError:
            known = ", ".join(role.value for role in Role)
            raise ValueError(f"role {name!r} is none of {known}") from None
    return tuple(role for role in Role if role in wanted)
