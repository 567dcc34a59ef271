"""The panel conventions we speak: a new one is a decoder, its vectors, and a line here."""

from __future__ import annotations

from adapters.alarm.convention import Convention
from adapters.alarm.homeassistant import HomeAssistant
from adapters.alarm.paradox import Paradox

CONVENTIONS: tuple[type[Convention], ...] = (HomeAssistant, Paradox)
