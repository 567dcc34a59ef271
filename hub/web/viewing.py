"""Looking at pictures: reason asked, written down, and only then shown."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import datetime
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response

from hub.media import Address, BadOffer, NoPassthrough, NoPicture, Picture, Quality, TooManyViewers
from hub.sealing import SealBroken
from hub.store import stills
from hub.web.context import Hub
from hub.web.guard import Caller
from hub.web.models import StillFacts
from hub.web.problems import ApiProblem

_UNPASSABLE = {
    "b_frames": (
        "视频含 B 帧,浏览器无法直接播放。请在摄像机中关闭 B 帧(编码档次改为 Baseline),或改看子码流。",
        "The video has B-frames, which browsers don't play as it comes. Switch them off in the camera "
        "(Baseline profile), or watch the other stream.",
    ),
    "codec": (
        "视频编码不是 H.264,无法直接播放。请在摄像机中改用 H.264。",
        "The video isn't H.264 and can't be passed through. Set the camera to H.264.",
    ),
    "no_video": ("该码流没有视频。", "The stream has no video."),
}


def _reason(text: str) -> str:
    reason = text.strip()
    if len(reason) < 2:
        raise ApiProblem(
            "reason_needed", "查看视频须填写理由。", "Say why the picture is looked at.", field="reason"
        )
    return reason


async def open_live(
    hub: Hub, caller: Caller, camera: str, reason: str, quality: Quality, request: Request
) -> Response:
    """WHEP: SDP offer in, 201 with the SDP answer and the session's `Location`."""
    place = await _camera_place(hub, caller, camera)
    why = _reason(reason)
    offer = await _offer(request)
    address = _address(hub, camera, quality)
    await hub.audit(caller, "video.live", f"camera:{camera}", place=place, reason=why)
    try:
        live = await hub.media.open(camera, quality, address, offer, caller.session)
    except (BadOffer, NoPicture, NoPassthrough, TooManyViewers) as error:
        problem = _problem(error)
        await hub.audit(
            caller, "video.live", f"camera:{camera}", place=place, reason=why, outcome=f"failed: {error}"
        )
        raise problem from error
    location = f"/api/v1/cameras/{camera}/whep/{live.id}"
    return Response(live.answer, 201, {"Location": location, "Cache-Control": "no-store"}, "application/sdp")


async def _offer(request: Request) -> str:
    if request.headers.get("content-type", "").split(";")[0] != "application/sdp":
        raise ApiProblem(
            "wrong_media_type", "请以 application/sdp 发送。", "Send application/sdp.", field="Content-Type"
        )
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError:
        raise ApiProblem("bad_request", "SDP 不是 UTF-8 文本。", "The SDP isn't UTF-8 text.") from None


async def end_live(hub: Hub, caller: Caller, camera: str, session: str) -> None:
    """Ends the caller's own session."""
    live = hub.media.find(session)
    if live is None or live.camera != camera or live.holder != caller.session:
        raise ApiProblem("not_found", "没有这个视频会话。", "There is no such live session.")
    await hub.media.end(session)


async def latest_picture(
    hub: Hub, caller: Caller, camera: str, reason: str, quality: Quality
) -> tuple[StillFacts, bytes]:
    """The newest key frame, or failing that the newest picture that is stored; its age is always said."""
    place = await _camera_place(hub, caller, camera)
    why = _reason(reason)
    await hub.audit(caller, "video.still", f"camera:{camera}", place=place, reason=why)
    try:
        picture = await hub.media.still(camera, quality, _address(hub, camera, quality))
    except (NoPicture, NoPassthrough, ApiProblem) as error:
        stored = await _stored(hub, camera)
        if stored is None:
            raise (error if isinstance(error, ApiProblem) else _problem(error)) from error
        return _facts(hub, camera, stored, "stored"), stored.jpeg
    return _facts(hub, camera, picture, "stream"), picture.jpeg


def as_jpeg(jpeg: bytes, facts: StillFacts) -> Response:
    """The picture itself, with when it was taken and its age in headers."""
    headers = {
        "Cache-Control": "no-store",
        "Jifang-Picture-Age": f"{facts.age_s:.3f}",
        "Jifang-Picture-Origin": facts.origin,
        "X-Taken-At": facts.taken_at.isoformat(),
        "Last-Modified": format_datetime(facts.taken_at, usegmt=True),
    }
    return Response(jpeg, headers=headers, media_type="image/jpeg")


async def evidence(hub: Hub, caller: Caller, digest: str, reason: str) -> Response:
    """A picture that an entry shows, if the caller may see that entry."""

    shown = await hub.store.read(lambda connection: stills.shown_at(connection, digest))
    visible = [(place, subject) for place, subject in shown if hub.may_see(caller, place)]
    if not visible:
        await hub.require_seen(caller, shown[0][0] if shown else None, f"still {digest[:12]}")
    jpeg = await asyncio.to_thread(hub.blobs.get, digest)
    if jpeg is None:
        raise ApiProblem("not_found", "图片已不存在。", "The picture is no longer there.")
    place, subject = visible[0]
    why = reason.strip() or f"evidence of {subject}"
    await hub.audit(caller, "evidence.still", f"still:{digest}", place=place, reason=why)
    return Response(jpeg, headers={"Cache-Control": "private, no-store"}, media_type="image/jpeg")


async def _camera_place(hub: Hub, caller: Caller, camera: str) -> str:
    known = hub.registers.camera(camera)
    place = hub.registers.locate(f"camera:{camera}").place if known else None
    await hub.require_seen(caller, place, f"camera:{camera}")
    return place or ""


def _address(hub: Hub, camera: str, quality: Quality) -> Address:
    try:
        access = hub.registers.camera_access(camera)
    except SealBroken as error:
        raise ApiProblem(
            "no_picture",
            "摄像机的登录信息无法解封,请重新登记。",
            "The camera's credentials can't be unsealed; register it again.",
        ) from error
    rtsp = (access.rtsp_sub or access.rtsp_main) if quality is Quality.SUB else access.rtsp_main
    if not rtsp:
        raise ApiProblem(
            "no_picture", "尚不知道该摄像机的视频地址。", "The camera's stream address isn't known yet."
        )
    return Address.of(rtsp, access.user, access.password)


def _problem(error: Exception) -> ApiProblem:
    if isinstance(error, NoPassthrough):
        zh, en = _UNPASSABLE.get(error.code, ("无法直接播放。", "It can't be passed through."))
        return ApiProblem("no_passthrough", zh, en)
    if isinstance(error, TooManyViewers):
        return ApiProblem(
            "too_many", "同时观看的视频过多,请先关闭一些。", "Too many live pictures; close some first."
        )
    if isinstance(error, BadOffer):
        return ApiProblem("bad_request", f"无法应答该 SDP:{error}。", f"The SDP can't be answered: {error}.")
    return ApiProblem("no_picture", f"取不到图像:{error}。", f"No picture: {error}.")


async def _stored(hub: Hub, camera: str) -> Picture | None:
    view = next((one for one in hub.desk.snapshot().cameras if one.id == camera), None)
    if view is None or not view.still:
        return None
    jpeg = await asyncio.to_thread(hub.blobs.get, view.still)
    taken_at = view.motion_at or view.since
    if jpeg is None or taken_at is None:
        return None
    return Picture(jpeg, taken_at, 0, 0)


def _facts(hub: Hub, camera: str, picture: Picture, origin: str) -> StillFacts:
    now: datetime = hub.clock()
    return StillFacts(
        camera=camera,
        taken_at=picture.taken_at,
        age_s=max(0.0, (now - picture.taken_at).total_seconds()),
        origin="stream" if origin == "stream" else "stored",
        hash=hashlib.sha256(picture.jpeg).hexdigest(),
        width=picture.width,
        height=picture.height,
        jpeg_base64=base64.b64encode(picture.jpeg).decode(),
    )
