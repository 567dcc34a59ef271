"""`jifang user`: accounts made on the hub's own machine."""

from __future__ import annotations

import asyncio

from hub.accounts import AccountError, NewPerson, create_person
from hub.store.engine import Store
from jifang.settings import Settings


async def add_person(
    settings: Settings, name: str, display_name: str, password: str, roles: tuple[str, ...], place: str
) -> str:
    """Makes an account; returns why not, or nothing."""
    store = await asyncio.to_thread(Store.open, settings.store_url)
    person = NewPerson(name=name, display_name=display_name, password=password, roles=roles, place=place)
    try:
        await create_person(store, person)
    except AccountError as error:
        return str(error)
    finally:
        await asyncio.to_thread(store.close)
    return ""
