"""The one configuration file, `jifang.toml`: typed, unknown keys refused, every key has a default."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from hub.domain.retention import TermRefused, Terms
from wire.bus import Broker

_TERMS = Terms()


class SettingsError(ValueError):
    """The file can't be read as settings: names the key and what was expected."""


class Http(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the console and the API listen."""

    host: str = "127.0.0.1"
    port: int = 8110


class BrokerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Our own Mosquitto, or an existing broker by `url`."""

    url: str = ""
    """`mqtt://host:1883` or `mqtts://…`; empty: the product starts its own. Never with a password in it."""
    user: str = ""
    password_file: str = ""
    """File whose first line is the password for `url`."""
    host: str = "127.0.0.1"
    port: int = 18830


class StoreSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log is kept."""

    url: str = ""
    """`postgresql://user@host:5432/database` or `sqlite:///…`; empty: SQLite in the data folder.
    Never with a password in it."""
    password_file: str = ""
    """File whose first line is the password for `url`."""


class Listener(Struct, frozen=True, forbid_unknown_fields=True):
    """A TCP listener for field devices."""

    host: str = "127.0.0.1"
    port: int = 18808


class EdgePart(Struct, frozen=True, forbid_unknown_fields=True):
    """The edge on this machine."""

    name: str = "edge-1"
    run: bool = True
    processes: int = 1


class AdaptersPart(Struct, frozen=True, forbid_unknown_fields=True):
    """The field protocols on this machine."""

    run: bool = True


class RetentionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Days that each class is kept; none under its floor (`hub.domain.retention`)."""

    motion_days: int = _TERMS.motion
    stills_days: int = _TERMS.stills
    positions_days: int = _TERMS.positions
    heartbeats_days: int = _TERMS.heartbeats
    alarms_days: int = _TERMS.alarms
    incidents_days: int = _TERMS.incidents
    quarantine_days: int = _TERMS.quarantine
    audit_days: int = _TERMS.audit

    @property
    def terms(self) -> Terms:
        """As the hub takes them. Raises `TermRefused`."""
        days = {name.removesuffix("_days"): getattr(self, name) for name in self.__struct_fields__}
        return Terms(**days)


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything `jifang serve` needs to know."""

    data: str = ".jifang/data"
    http: Http = Http()
    broker: BrokerSettings = BrokerSettings()
    store: StoreSettings = StoreSettings()
    jt808: Listener = Listener()
    edge: EdgePart = EdgePart()
    adapters: AdaptersPart = AdaptersPart()
    retention: RetentionSettings = RetentionSettings()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the log, with its password: never to be shown. Raises `SettingsError`."""
        if not self.store.url:
            return f"sqlite:///{self.folder.resolve() / 'jifang.db'}"
        return external_store(self.store)


def parse(text: str) -> Settings:
    """TOML to settings. Raises `SettingsError`."""
    try:
        settings = msgspec.toml.decode(text, type=Settings)
        _ = settings.retention.terms
    except msgspec.DecodeError as error:
        raise SettingsError(str(error)) from error
    except TermRefused as error:
        raise SettingsError(f"[retention] {error}") from error
    if settings.store.url:
        _checked_store_url(settings.store.url)
    return settings


def load(path: Path | None) -> Settings:
    """Reads `path`; without one, `jifang.toml` in the current folder if it is there, else the defaults."""
    if path is None:
        path = Path("jifang.toml")
        if not path.exists():
            return Settings()
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def dump(settings: Settings) -> str:
    """Settings as TOML."""
    data = msgspec.to_builtins(settings)
    top = "".join(f"{key} = {_value(value)}\n" for key, value in data.items() if not isinstance(value, dict))
    tables = (
        f"\n[{key}]\n" + "".join(f"{name} = {_value(one)}\n" for name, one in value.items())
        for key, value in data.items()
        if isinstance(value, dict)
    )
    return top + "".join(tables)


def _value(value: str | int | bool) -> str:
    return msgspec.json.encode(value).decode()


def external_broker(settings: BrokerSettings) -> Broker | None:
    """The broker named by URL, or None where the product starts its own. Raises `SettingsError`."""
    if not settings.url:
        return None
    parts = urlsplit(settings.url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise SettingsError("[broker] url: expected mqtt://host:port or mqtts://host:port")
    if parts.password:
        raise SettingsError("[broker] url: no password in a URL; name a password_file")
    tls = parts.scheme == "mqtts"
    password = _password("broker", settings.password_file)
    return Broker(
        host=parts.hostname,
        port=parts.port or (8883 if tls else 1883),
        user=settings.user or parts.username or "",
        password=password or os.environ.get("JIFANG_BROKER_PASSWORD", ""),
        tls=tls,
    )


def external_store(settings: StoreSettings) -> str:
    """The SQLAlchemy URL of the database named by `url`, with its password. Raises `SettingsError`."""
    url = _checked_store_url(settings.url)
    password = _password("store", settings.password_file) or os.environ.get("JIFANG_STORE_PASSWORD", "")
    if password:
        url = url.set(password=password)
    return url.render_as_string(hide_password=False)


def _checked_store_url(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise SettingsError("[store] url: expected postgresql://user@host:port/database") from error
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        url = url.set(drivername="postgresql+psycopg")
    elif url.drivername != "sqlite":
        raise SettingsError(
            f"[store] url: {url.drivername} is not supported; postgresql://… and sqlite:///… are"
        )
    if url.password or "password" in url.query:
        raise SettingsError("[store] url: no password in a URL; name a password_file")
    if not url.database:
        raise SettingsError("[store] url: names no database")
    return url


def _password(section: str, file: str) -> str:
    """The first line of a file; empty where none is named."""
    if not file:
        return ""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"[{section}] password_file: {error}") from error
    return lines[0].strip() if lines else ""
