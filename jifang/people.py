"""`jifang user`: accounts made on the hub's own machine."""

from __future__ import annotations

import asyncio

from hub.accounts import AccountError, NewPerson, create_person
from hub.store.engine import Store, StoreUnavailable
from jifang.settings import Settings, SettingsError


async def add_person(
    settings: Settings, name: str, display_name: str, password: str, roles: tuple[str, ...], place: str
) -> str:
    """Makes an account, beside a hub that runs or without one; returns why not, or nothing."""
    try:
        store = await asyncio.to_thread(Store.open, settings.store_url, beside=True)
    except (StoreUnavailable, SettingsError) as error:
        return str(error)
    person = NewPerson(name=name, display_name=display_name, password=password, roles=roles, place=place)
    try:
        await create_person(store, person)
    except AccountError as error:
        return str(error)
    finally:
        await asyncio.to_thread(store.close)
    return ""
