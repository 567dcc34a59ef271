"""Cameras over ONVIF: who they are, where their streams are, and what they say is happening.

One supervised session a camera: clock first, unauthenticated; facts; then a pull point, renewed before it
runs out, or made anew where the camera can't renew. All cameras share one event loop and one parsed WSDL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import structlog
from lxml import etree  # type: ignore[import-untyped]
from onvif import ONVIFCamera
from zeep.plugins import Plugin

from adapters.again import Again
from adapters.knowledge import PREFIX as KNOWN
from adapters.knowledge import Knowledge, News
from adapters.onvif.addresses import Endpoint, endpoint_of, service_at, stream_at
from adapters.onvif.events import Notification, enveloped, notifications_of
from adapters.onvif.faults import REQUEST_S, CameraFault, asking
from adapters.onvif.watch import Watch
from adapters.refusal import Refusal
from adapters.sender import Sender
from wire.clock import Clock
from wire.link import Backoff, supervise
from wire.observations import Condition, DeviceFacts, Heartbeat, Observation, PointState
from wire.work import Camera, CameraWork

log = structlog.get_logger(__name__)
# The library's own chatter names hosts and repeats whole messages.
for name in ("onvif", "zeep", "httpx"):
    logging.getLogger(name).setLevel(logging.ERROR)

PULL_S = 15
PULL_LIMIT = 100
SUBSCRIPTION_S = 600
RENEW_AFTER_S = 480
"""Renewing at 8 of 10 minutes; some cameras crash where it is done often."""
HEARTBEAT_S = 10.0
DEBOUNCE_S = 10.0
ASK_AGAIN_S = 10.0
"""How soon a camera is asked again for stream addresses that it couldn't give: it may still be starting."""
ENCODINGS = {"H264": "h264", "H265": "h265", "JPEG": "jpeg", "MPEG4": "mpeg4"}
PULL_POINT = "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
PTZ = "http://www.onvif.org/ver20/ptz/wsdl"


class OnvifDriver:
    """Runs on one event loop; `work` is called there too."""

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        *,
        pull_s: float = PULL_S,
        debounce_s: float = DEBOUNCE_S,
        renew_after_s: float = RENEW_AFTER_S,
    ) -> None:
        self.sender = sender
        self.clock = clock
        self.pull_s = pull_s
        self.debounce_s = debounce_s
        self.renew_after_s = renew_after_s
        self.knowledge = Knowledge(sender.outbox.marks(KNOWN))
        self._running: dict[str, tuple[Camera, asyncio.Task[None]]] = {}
        self._shutting: set[asyncio.Task[None]] = set()
        self._parsed: asyncio.Task[None] | None = None

    def work(self, work: CameraWork) -> None:
        """Watches these cameras, and those that are gone or changed no longer."""
        wanted = {camera.id: camera for camera in work.cameras if camera.onvif}
        for identity, (camera, task) in list(self._running.items()):
            if wanted.get(identity) != camera:
                task.cancel()
                del self._running[identity]
        for identity, camera in wanted.items():
            if identity not in self._running:
                task = asyncio.get_running_loop().create_task(self._watch(camera), name=f"onvif {identity}")
                self._running[identity] = (camera, task)

    async def close(self) -> None:
        """Ends all sessions."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._shutting)
        self._running.clear()

    def decode_again(self, again: Again) -> list[Observation]:
        """What a refused answer or notification says by now. Raises `Refusal`."""
        watch = Watch(again.peer, Knowledge({}), again.heard_at)
        observations: list[Observation] = []
        for notification in notifications_of(enveloped(again.raw)):
            if isinstance(notification, Refusal):
                raise notification
            observations += watch.take(notification, again.heard_at, timedelta(0))
        return observations

    def shut(self, device: Device) -> asyncio.Task[None]:
        """Closes a connection to the end, also where its session is cancelled meanwhile."""
        task = asyncio.get_running_loop().create_task(_shut(device))
        self._shutting.add(task)
        task.add_done_callback(self._shutting.discard)
        return task

    def tell(self, observations: Sequence[Observation]) -> None:
        """Puts observations into the outbox, with what was learned by them.

        ONVIF has no acknowledgement: what the outbox refuses is lost, and counted there.
        """
        marks = self.knowledge.take_marks()
        if observations or marks:
            count = len(observations)
            self.sender.outbox.append(observations, marks).add_done_callback(
                lambda done: self._settle(done, count)
            )

    def _settle(self, done: Future[int], count: int) -> None:
        error = done.exception()
        if error is not None:
            self.sender.outbox.lost(count)
            log.error("observations could not be kept", count=count, reason=str(error))

    async def _watch(self, camera: Camera) -> None:
        if self._parsed is None:
            self._parsed = asyncio.create_task(parse_wsdl())
        await asyncio.shield(self._parsed)
        session = CameraSession(self, camera)
        backoff = Backoff(most_s=15.0)
        try:
            await supervise(f"onvif {camera.id}", session.run, down=session.down, backoff=backoff)
        finally:
            session.end()


class CameraSession:
    """One camera, over all its connections."""

    def __init__(self, driver: OnvifDriver, camera: Camera) -> None:
        self._driver = driver
        self._camera = camera
        self._source = f"camera:{camera.id}"
        self._watch = Watch(self._source, driver.knowledge, driver.clock())
        self._overdue: asyncio.TimerHandle | None = None
        self._beat: datetime | None = None
        self._ask_again_at: datetime | None = None
        self._fault = ""

    async def run(self, proved: Callable[[], None]) -> None:
        """One connection, until it fails."""
        device = None
        try:
            device = Device(endpoint_of(self._camera.onvif), self._camera.user, self._camera.password)
            await device.connect()
            await self._tell_facts(device)
            if device.has_events:
                await self._pull(device, proved)
            else:
                await self._probe(device, proved)
        except (CameraFault, Refusal) as fault:
            self._fault = fault.cause
            raise
        finally:
            if device is not None:
                await asyncio.shield(self._driver.shut(device))

    def down(self, _reason: str) -> None:
        """The connection failed: states aren't known; that the camera is lost is told after a while."""
        self._driver.tell(self._watch.lost(self._driver.clock()))
        if self._overdue is None:
            loop = asyncio.get_running_loop()
            self._overdue = loop.call_later(self._driver.debounce_s, self._lost)

    def end(self) -> None:
        """The camera isn't ours to watch any more."""
        if self._overdue is not None:
            self._overdue.cancel()

    def _lost(self) -> None:
        self._tell_link(lost=True, code=self._fault)

    def _tell_link(self, *, lost: bool, code: str = "") -> None:
        news = self._driver.knowledge.learn(self._source, "onvif", str(lost), rest="")
        body = PointState(point="onvif", condition=Condition.COMMS_LOST, active=lost, code=code, armed=True)
        self._driver.tell([self._observed(body)] if news is News.CHANGED else [])

    async def _tell_facts(self, device: Device) -> None:
        """Tells what is new; notes when to ask again where something could not be told."""
        facts = await device.facts()
        steady = {name: value for name, value in facts.detail.items() if name != "clock_skew_s"}
        said = f"{facts.make} {facts.model} {facts.firmware} {facts.serial} {steady} {device.skew_s // 10}"
        again = timedelta(seconds=ASK_AGAIN_S)
        self._ask_again_at = self._driver.clock() + again if "streams" in facts.detail else None
        if self._driver.knowledge.learn(self._source, "facts", said, rest="") is News.CHANGED:
            self._driver.tell([self._observed(facts)])

    async def _pull(self, device: Device, proved: Callable[[], None]) -> None:
        await device.subscribe()
        lasts = timedelta(seconds=self._driver.renew_after_s)
        renew_at = self._driver.clock() + lasts
        while True:
            told = self._read(await device.pull(self._driver.pull_s))
            self._works(proved)
            self._take(told, device)
            await self._complete_facts(device)
            if self._driver.clock() >= renew_at:
                if not await device.renew():
                    await device.subscribe()
                renew_at = self._driver.clock() + lasts

    async def _probe(self, device: Device, proved: Callable[[], None]) -> None:
        """A camera without events: its clock is read now and then, so that we hear of it at all."""
        while True:
            await device.read_clock()
            self._works(proved)
            await self._complete_facts(device)
            await asyncio.sleep(self._driver.pull_s)

    async def _complete_facts(self, device: Device) -> None:
        if self._ask_again_at is not None and self._driver.clock() >= self._ask_again_at:
            await self._tell_facts(device)

    def _works(self, proved: Callable[[], None]) -> None:
        proved()
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        self._tell_link(lost=False)
        now = self._driver.clock()
        if self._beat is None or not 0 <= (now - self._beat).total_seconds() < HEARTBEAT_S:
            self._beat = now
            self._driver.tell([self._observed(Heartbeat(interval_s=max(self._driver.pull_s, HEARTBEAT_S)))])

    def _read(self, answer: bytes) -> tuple[Notification | Refusal, ...]:
        try:
            return notifications_of(answer)
        except Refusal as refusal:
            self._reject(refusal)
            raise CameraFault("nonsense", refusal.reason) from refusal

    def _take(self, told: Sequence[Notification | Refusal], device: Device) -> None:
        now, skew = self._driver.clock(), timedelta(seconds=device.skew_s)
        observations = self._watch.expire(now)
        for notification in told:
            try:
                if isinstance(notification, Refusal):
                    raise notification
                observations += self._watch.take(notification, now, skew)
            except Refusal as refusal:
                if isinstance(notification, Notification):
                    refusal.show(notification.raw)
                self._reject(refusal)
        self._driver.tell(observations)

    def _reject(self, refusal: Refusal) -> None:
        self._driver.sender.rejects.add("onvif", self._source, refusal, self._driver.clock())

    def _observed(self, body: Heartbeat | PointState | DeviceFacts) -> Observation:
        return Observation(source=self._source, body=body, heard_at=self._driver.clock())


class _Answers(Plugin):  # type: ignore[misc, unused-ignore]
    """Keeps the last answer as bytes, before the library makes of it what it can."""

    last = b""

    def ingress(self, envelope: etree._Element, http_headers: Any, operation: Any) -> tuple[Any, Any]:
        """Called by zeep with each answer that is no fault."""
        _ = operation
        self.last = etree.tostring(envelope)
        return envelope, http_headers


class _Client(ONVIFCamera):  # type: ignore[misc]
    """The library's client, with addresses we can reach."""

    def __init__(self, endpoint: Endpoint, user: str, password: str) -> None:
        super().__init__(endpoint.host, endpoint.port, user, password, no_cache=True, adjust_time=True)
        self.endpoint = endpoint

    def rewrite_url(self, url: str | None) -> str | None:
        """Service and subscription addresses, at the host we reach the camera by."""
        return service_at(url, self.endpoint) if url else url

    def get_definition(self, name: str, port_type: str | None = None) -> tuple[str, str, str]:
        """The device service is where the installer says, not always at the usual path."""
        address, wsdl, binding = super().get_definition(name, port_type)
        return (self.endpoint.url if name == "devicemgmt" else address), wsdl, binding


class Device:
    """One connection's worth of a camera. Every method raises `CameraFault`, and nothing else."""

    def __init__(self, endpoint: Endpoint, user: str, password: str) -> None:
        self._endpoint = endpoint
        self._client = _Client(endpoint, user, password)
        self._answers = _Answers()
        self._pull_point: Any = None

    @property
    def has_events(self) -> bool:
        """Whether it offers the event service."""
        return EVENTS in self._client.xaddrs

    @property
    def skew_s(self) -> float:
        """How far its clock is ahead of ours."""
        difference = self._client.dt_diff
        return round(difference.total_seconds(), 1) if difference else 0.0

    async def connect(self) -> None:
        """Reads the clock, to sign with the device's time, and where its services are."""
        try:
            async with asking("clock and services"):
                await self._client.update_xaddrs()
        except CameraFault as fault:
            if fault.cause != "nonsense":
                raise
            self._client.adjust_time = False  # a clock that can't be read must not cost us the camera
            async with asking("services"):
                await self._client.update_xaddrs()

    async def read_clock(self) -> None:
        """Asks for the time, only to see whether it answers."""
        async with asking("clock"):
            service = await self._client.create_devicemgmt_service()
            await service.authless_GetSystemDateAndTime()

    async def facts(self) -> DeviceFacts:
        """What it says of itself; what it can't say is left out."""
        async with asking("device information"):
            service = await self._client.create_devicemgmt_service()
            told = await service.GetDeviceInformation()
        detail = {"clock_skew_s": str(self.skew_s), "ptz": "yes" if PTZ in self._client.xaddrs else "no"}
        detail["events"] = "pull point" if self.has_events else "none"
        try:
            detail |= await self._streams()
        except CameraFault as fault:
            detail["streams"] = str(fault)
        return DeviceFacts(
            make=told.Manufacturer or "",
            model=told.Model or "",
            firmware=told.FirmwareVersion or "",
            serial=told.SerialNumber or "",
            detail=detail,
        )

    async def _streams(self) -> dict[str, str]:
        """Addresses, sizes and codecs of the largest and the smallest profile."""
        async with asking("media profiles"):
            media = await self._client.create_media_service()
            profiles = [one for one in await media.GetProfiles() if one.VideoEncoderConfiguration]
        ordered = sorted(profiles, key=_area, reverse=True)
        chosen = [("main", ordered[0])] if ordered else []
        chosen += [("sub", ordered[-1])] if len(ordered) > 1 else []
        found: dict[str, str] = {}
        for name, profile in chosen:
            async with asking(f"{name} stream address"):
                told = await media.GetStreamUri(_stream_request(profile.token))
                found[f"rtsp_{name}"] = stream_at(told.Uri or "", self._endpoint)
            found |= _described(name, profile.VideoEncoderConfiguration)
        return found

    async def subscribe(self) -> None:
        """Makes a pull point for 10 minutes."""
        async with asking("subscription"):
            events = await self._client.create_events_service()
            told = await events.CreatePullPointSubscription(
                {"InitialTerminationTime": f"PT{SUBSCRIPTION_S}S"}
            )
            address = str(told.SubscriptionReference.Address._value_1).strip()
            self._client.xaddrs[PULL_POINT] = self._client.rewrite_url(address)
            self._pull_point = await self._client.create_pullpoint_service()
            self._pull_point.zeep_client.plugins.append(self._answers)

    async def pull(self, timeout_s: float) -> bytes:
        """Waits for events; gives the answer as it came."""
        self._answers.last = b""
        request = {"Timeout": timedelta(seconds=timeout_s), "MessageLimit": PULL_LIMIT}
        try:
            async with asking("events", timeout_s + REQUEST_S):
                await self._pull_point.PullMessages(request)
        except CameraFault as fault:
            if fault.cause != "nonsense" or not self._answers.last:
                raise
            # The library stumbled over the answer; our own reading of it may not.
        return self._answers.last

    async def renew(self) -> bool:
        """Lengthens the subscription; False where the camera can't."""
        try:
            async with asking("renewal"):
                service = await self._client.create_subscription_service("PullPointSubscription")
                await service.Renew({"TerminationTime": f"PT{SUBSCRIPTION_S}S"})
        except CameraFault as fault:
            if fault.cause == "unreachable":
                raise
            return False
        return True

    async def close(self) -> None:
        """Closes connections. The subscription runs out: some cameras drop all of them at an Unsubscribe."""
        async with asking("closing"):
            await self._client.close()


async def _shut(device: Device) -> None:
    try:
        await device.close()
    except CameraFault as fault:
        log.debug("connection not closed in order", reason=fault.reason)


async def parse_wsdl() -> None:
    """Parses the library's service descriptions once, before cameras ask for them all at the same moment."""
    client = _Client(endpoint_of("http://localhost"), "", "")
    client.xaddrs = dict.fromkeys((EVENTS, MEDIA, PULL_POINT), "http://localhost")
    try:
        await client.create_devicemgmt_service()
        await client.create_media_service()
        await client.create_pullpoint_service()
    finally:
        await client.close()


def _area(profile: Any) -> int:
    size = profile.VideoEncoderConfiguration.Resolution
    return int(size.Width) * int(size.Height) if size else 0


def _stream_request(token: str) -> dict[str, Any]:
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    return {"StreamSetup": setup, "ProfileToken": token}


def _described(name: str, encoder: Any) -> dict[str, str]:
    found = {f"{name}_codec": ENCODINGS.get(str(encoder.Encoding), str(encoder.Encoding))}
    if encoder.Resolution:
        found[f"{name}_size"] = f"{encoder.Resolution.Width}x{encoder.Resolution.Height}"
    if encoder.RateControl:
        found[f"{name}_fps"] = str(encoder.RateControl.FrameRateLimit)
    return found
