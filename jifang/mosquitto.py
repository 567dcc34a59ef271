"""Mosquitto as our own part: its configuration, accounts and access list, saved on change.

Devices in the field sign in as `field` and may use every topic but `jifang/…`; our own parts sign in as
`jifang`. Both passwords are made at the first start and kept in the data folder.
"""

from __future__ import annotations

import getpass
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from wire.bus import Broker

INTERNAL_USER = "jifang"
FIELD_USER = "field"


class BrokerMissing(RuntimeError):
    """Mosquitto isn't installed."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The broker's two accounts."""

    internal: str = field(repr=False)
    field: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnBroker:
    """A Mosquitto of ours: where it listens and where it keeps its data."""

    folder: Path
    host: str
    port: int
    accounts: Accounts

    def as_internal(self) -> Broker:
        """How our own parts sign in."""
        return Broker(host=self.host, port=self.port, user=INTERNAL_USER, password=self.accounts.internal)

    def as_field(self) -> Broker:
        """How devices sign in."""
        return Broker(host=self.host, port=self.port, user=FIELD_USER, password=self.accounts.field)

    def prepare(self) -> list[str]:
        """Writes the configuration; returns the command that runs the broker in the foreground."""
        binary = find("mosquitto")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._write_passwords()
        (self.folder / "acl").write_text(_ACL)
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=self.folder.resolve(), host=self.host, port=self.port, user=getpass.getuser()
            )
        )
        for name in ("acl", "mosquitto.conf", "passwords"):
            (self.folder / name).chmod(0o600)
        return [binary, "-c", str(configuration)]

    def _write_passwords(self) -> None:
        path = self.folder / "passwords"
        path.touch(mode=0o600)
        # In clear for a moment, in a folder only we can enter; -U hashes in place, so nothing shows in `ps`.
        path.write_text(f"{INTERNAL_USER}:{self.accounts.internal}\n{FIELD_USER}:{self.accounts.field}\n")
        subprocess.run([find("mosquitto_passwd"), "-U", str(path)], check=True, capture_output=True)


def find(binary: str) -> str:
    """Path of one of Mosquitto's programs; Debian keeps the broker in /usr/sbin."""
    path = shutil.which(binary) or shutil.which(binary, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise BrokerMissing(
            f"{binary} not found: apt-get install mosquitto, or name a broker in [broker] url"
        )
    return path


_ACL = f"""user {INTERNAL_USER}
topic readwrite #
topic read $SYS/#

user {FIELD_USER}
topic readwrite #
topic deny jifang/#
"""

# Saved on each change: with Mosquitto's defaults all that was queued for an absent hub is gone when the
# broker is killed (measured: 1,600 of 1,600). Oversized payloads reach the adapters up to max_packet_size,
# so that they are counted there and not dropped in silence by the broker.
_CONFIGURATION = """per_listener_settings false
listener {port} {host}
user {user}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
persistent_client_expiration 14d
max_queued_messages 200000
max_queued_bytes 1073741824
max_inflight_messages 1000
max_packet_size 20971520
max_connections 20000
max_keepalive 3600
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
"""
