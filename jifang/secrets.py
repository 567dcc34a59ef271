"""Passwords that the product makes for itself at the first start, in a file only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from jifang.mosquitto import Accounts


def broker_accounts(folder: Path) -> Accounts:
    """The broker's accounts of this data folder; made once."""
    path = folder / "secrets.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = {"internal": secrets.token_urlsafe(24), "field": secrets.token_urlsafe(24)}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file)
    kept = json.loads(path.read_text())
    return Accounts(internal=kept["internal"], field=kept["field"])
