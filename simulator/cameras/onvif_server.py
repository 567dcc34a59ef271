"""A camera's HTTP port: SOAP in, SOAP out, and the still as JPEG."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from aiohttp import web

from simulator.cameras import (
    credentials,
    device_service,
    event_service,
    media_service,
    ptz_service,
    soap,
)
from simulator.cameras.device import Device
from simulator.cameras.pullpoint import Message, PullPoint, Topic
from simulator.cameras.soap import NAMESPACES, Call, SoapFault
from simulator.cameras.still import jpeg

MAX_BODY = 256 * 1024
SOAP_TYPE = "application/soap+xml"
BACKLOG = 32
Operation = Callable[[Device, Element], str]
Delivered = Callable[[Device, list[Message]], None]


class OnvifServer:
    """The services of one camera on one port. `delivered` hears which messages a client has pulled."""

    def __init__(self, device: Device, host: str, delivered: Delivered) -> None:
        self.device, self._host, self._delivered = device, host, delivered
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._nonce = secrets.token_hex(16)
        self._operations = _operations(device)

    async def start(self) -> None:
        """Listens; on the same port again after the first time."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/onvif/{tail:.*}", self._soap)
        app.router.add_get("/snapshot/{stream}.jpg", self._still)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, keepalive_timeout=75)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self.port, backlog=BACKLOG)
        await site.start()
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Closes the port and every connection."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self.device.events.forget_all()
            await runner.cleanup()

    async def _soap(self, request: web.Request) -> web.StreamResponse:
        call: Call | None = None
        try:
            call = soap.parse(await request.read())
            self._admit(call)
            return await self._answer(request, call)
        except SoapFault as error:
            return _envelope(soap.fault(error, call), error.status)

    def _admit(self, call: Call) -> None:
        """Everything but what the standard leaves open needs the user's digest."""
        if call.namespace == NAMESPACES["tds"] and call.operation in device_service.PRE_AUTH:
            return
        spec = self.device.spec
        credentials.check_token(call.header, spec.user, spec.password, self.device.now())

    async def _answer(self, request: web.Request, call: Call) -> web.StreamResponse:
        path = request.path
        if path.startswith(event_service.SUBSCRIPTION_PATH):
            point = self.device.events.find(path.removeprefix(event_service.SUBSCRIPTION_PATH))
            if point is None:
                raise event_service.gone()
            return await self._subscription(request, call, point)
        operation = self._operations.get((call.namespace, call.operation))
        if operation is None:
            raise SoapFault.sender("ActionNotSupported", f"{call.operation[:60]} is not supported")
        return _envelope(soap.answer(operation(self.device, call.body), call))

    async def _subscription(self, request: web.Request, call: Call, point: PullPoint) -> web.StreamResponse:
        name = (call.namespace, call.operation)
        if name == event_service.PULL:
            return await self._pull(request, call, point)
        if name not in event_service.SUBSCRIPTION_OPERATIONS:
            raise SoapFault.sender("ActionNotSupported", f"{call.operation[:60]} is not supported")
        body = event_service.SUBSCRIPTION_OPERATIONS[name](self.device, point, call.body)
        return _envelope(soap.answer(body, call))

    async def _pull(self, request: web.Request, call: Call, point: PullPoint) -> web.StreamResponse:
        """Long poll. Messages count as delivered once the whole answer was written to the connection."""
        messages = await point.pull(*event_service.pull_limits(call.body))
        if self.device.events.find(point.key) is None:
            raise event_service.gone()
        response = _envelope(soap.answer(event_service.pulled(self.device, point, messages), call))
        try:
            await response.prepare(request)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            point.put_back(messages)
            raise
        if request.transport is None or request.transport.is_closing():
            point.put_back(messages)
        else:
            self._delivered(self.device, messages)
        return response

    async def _still(self, request: web.Request) -> web.StreamResponse:
        spec = self.device.spec
        given = request.headers.get("Authorization", "")
        if not credentials.http_digest_ok(given, request.method, spec.user, spec.password, self._nonce):
            return web.Response(status=401, headers={"WWW-Authenticate": credentials.challenge(self._nonce)})
        stream = request.match_info["stream"]
        unit = self.device.key_frame(stream) if stream in media_service.STREAMS else None
        if unit is None:
            return web.Response(status=404)
        picture = await asyncio.to_thread(jpeg, unit)
        return web.Response(body=picture, content_type="image/jpeg")


def _operations(device: Device) -> dict[tuple[str, str], Operation]:
    """What the camera can do, by namespace and name; any service path takes any of it, as many devices do."""
    services: list[tuple[str, dict[str, Operation]]] = [
        ("tds", device_service.OPERATIONS),
        ("trt", media_service.OPERATIONS),
        ("tev", event_service.OPERATIONS),
    ]
    if device.spec.ptz:
        services.append(("tptz", ptz_service.OPERATIONS))
    return {(NAMESPACES[prefix], name): call for prefix, table in services for name, call in table.items()}


def _envelope(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type=SOAP_TYPE, charset="utf-8")


def ledger_entry(device: Device, message: Message, acked_at: datetime | None = None) -> dict[str, object]:
    """A delivered message as a line of the ledger (docs/design/seams.md, "Simulator")."""
    happening = message.happening
    motion = happening.topic is Topic.MOTION
    entry: dict[str, object] = {
        "at": event_service.iso(happening.at),
        "acked_at": event_service.iso(acked_at or datetime.now(UTC)),
        "source": f"camera:{device.spec.id}",
        "kind": "motion" if motion else "point",
        "point": "picture",
        "active": happening.active,
        "device_at": event_service.iso(happening.device_at),
        "lat": device.spec.lat,
        "lon": device.spec.lon,
    }
    if not motion:
        entry["condition"] = "video_tamper"
    if happening.story:
        entry["story"] = happening.story
    return entry
