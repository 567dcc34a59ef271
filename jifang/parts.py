"""Which processes a set of settings means, and how each wing is started in its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from jifang.mosquitto import OwnBroker
from jifang.secrets import broker_accounts
from jifang.settings import Settings, external_broker
from jifang.supervisor import Part
from wire.bus import Broker

CONSOLE_FOLDERS = (Path(__file__).parent / "console", Path(__file__).parent.parent / "console" / "dist")


@dataclass(frozen=True, slots=True)
class Layout:
    """Settings made concrete: the broker our parts use and, if it is ours, how it runs."""

    settings: Settings
    settings_file: Path
    broker: Broker
    own_broker: OwnBroker | None

    @property
    def field_broker(self) -> Broker:
        """How a device signs in at the broker."""
        return self.own_broker.as_field() if self.own_broker else self.broker


def lay_out(settings: Settings, settings_file: Path) -> Layout:
    """Finds or plans the broker. Raises `SettingsError`."""
    external = external_broker(settings.broker)
    if external is not None:
        return Layout(settings, settings_file, external, None)
    own = OwnBroker(
        folder=settings.folder / "mosquitto",
        host=settings.broker.host,
        port=settings.broker.port,
        accounts=broker_accounts(settings.folder),
    )
    return Layout(settings, settings_file, own.as_internal(), own)


def parts(layout: Layout) -> list[Part]:
    """The processes to run, in starting order."""
    wanted = ["hub"]
    if layout.settings.adapters.run:
        wanted.append("adapters")
    if layout.settings.edge.run:
        wanted.append("edge")
    ours = [
        Part(name, [sys.executable, "-m", "jifang", "part", name, "--settings", str(layout.settings_file)])
        for name in wanted
    ]
    if layout.own_broker is None:
        return ours
    return [Part("broker", layout.own_broker.prepare()), *ours]


def console_folder() -> Path | None:
    """The built console: inside an installed package, or in the checkout."""
    return next((folder for folder in CONSOLE_FOLDERS if (folder / "index.html").exists()), None)


def run_part(name: str, layout: Layout) -> None:
    """Runs one wing in this process until SIGTERM."""
    settings, data = layout.settings, layout.settings.folder
    if name == "hub":
        from hub.app import HubSettings
        from hub.app import main as run_hub

        field = layout.field_broker
        run_hub(
            HubSettings(
                data=data,
                store_url=settings.store_url,
                broker=layout.broker,
                http_host=settings.http.host,
                http_port=settings.http.port,
                console=console_folder(),
                field_address=f"mqtt://{field.user}@{field.host}:{field.port}",
                terms=settings.retention.terms,
            )
        )
    elif name == "adapters":
        from adapters.run import AdapterSettings
        from adapters.run import main as run_adapters

        run_adapters(
            AdapterSettings(
                data=data / "adapters",
                broker=layout.broker,
                jt808_host=settings.jt808.host,
                jt808_port=settings.jt808.port,
            )
        )
    elif name == "edge":
        from edge.run import EdgeSettings
        from edge.run import main as run_edge

        run_edge(
            EdgeSettings(
                name=settings.edge.name,
                data=data / "edge",
                broker=layout.broker,
                processes=settings.edge.processes,
            )
        )
    else:
        raise ValueError(f"no part is called {name!r}")
