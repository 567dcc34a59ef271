"""Errors as RFC 9457 problem details, in the reader's language (zh-CN first, en)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub import metrics
from hub.domain.trouble import TroubleCode, code_of
from hub.store.engine import StoreUnavailable

log = structlog.get_logger(__name__)

CATALOGUE: Mapping[str, tuple[int, str, str]] = {
    "bad_request": (400, "请求无法理解", "The request could not be understood"),
    "not_signed_in": (401, "请先登录", "Sign in first"),
    "wrong_password": (401, "用户名或密码不正确", "Wrong name or password"),
    "forbidden": (403, "没有权限", "Not permitted"),
    "own_work": (403, "不能验收自己登记的设备", "Nobody accepts their own work"),
    "cross_site": (403, "拒绝来自其他网站的请求", "Requests from other sites are refused"),
    "not_found": (404, "未找到", "Not found"),
    "method_not_allowed": (405, "不支持的操作", "Method not allowed"),
    "conflict": (409, "状态已变化", "The state has changed"),
    "exists": (409, "已存在", "It already exists"),
    "too_large": (413, "请求内容过大", "The request body is too large"),
    "wrong_media_type": (415, "内容类型不正确", "Wrong content type"),
    "invalid": (422, "内容有误", "The content is not valid"),
    "reason_needed": (422, "请填写理由", "A reason is needed"),
    "not_possible": (422, "当前无法执行", "Not possible now"),
    "no_passthrough": (422, "该摄像机的视频无法直接播放", "This camera's video can't be passed through"),
    "too_many": (429, "请求过多,请稍后再试", "Too many requests; try again later"),
    "header_too_large": (431, "请求头过大", "The request headers are too large"),
    "internal": (500, "系统内部错误", "Internal error"),
    "no_picture": (502, "取不到图像", "No picture can be had from the camera"),
    "store_unavailable": (503, "中心暂时无法保存", "The hub can't store now"),
    "busy": (503, "系统繁忙", "The system is busy"),
    "timeout": (504, "处理超时", "The request took too long"),
}
"""Code → status, title zh-CN, title en. The codes are part of the API."""

STORE_REASONS: Mapping[TroubleCode, tuple[str, str]] = {
    TroubleCode.DISK_FULL: ("磁盘已满", "the disk is full"),
    TroubleCode.READ_ONLY: ("磁盘只读", "the disk is read-only"),
    TroubleCode.UNREACHABLE: ("连不上数据库", "the database can't be reached"),
    TroubleCode.LOCKED: ("数据库被占用", "another process holds the database"),
    TroubleCode.TAKEN: ("另有中心程序在写入", "another hub has written to the database"),
    TroubleCode.DISK_ERROR: ("磁盘读写出错", "the disk fails"),
    TroubleCode.NO_COMMIT: ("数据库没有响应", "the database doesn't answer"),
}

MEDIA_TYPE = "application/problem+json"


class ApiProblem(Exception):
    """A refusal with a reason its reader can act on. `zh` and `en` are the details."""

    def __init__(
        self,
        code: str,
        zh: str = "",
        en: str = "",
        *,
        field: str = "",
        current: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {en}")
        self.code, self.zh, self.en = code, zh, en
        self.field, self.current, self.headers = field, current, dict(headers or {})

    @property
    def status(self) -> int:
        """HTTP status."""
        return CATALOGUE[self.code][0]


def not_stored(code: TroubleCode) -> ApiProblem:
    """An action that was not carried out because nothing can be stored: says so, and what to do meanwhile."""
    zh, en = STORE_REASONS.get(code, ("数据库出错", "the database fails"))
    return ApiProblem(
        "store_unavailable",
        f"操作没有执行:中心暂时无法保存({zh}),恢复后也不会自动补做。"
        "紧急情况请改用电台或电话处置并做好记录,恢复后再补录。",
        f"Not done: the hub can't store anything now ({en}), and it won't be done later by itself. "
        "If it is urgent use radio or telephone, write it down, and enter it once the hub is back.",
        headers={"Retry-After": "5"},
    )


def not_read(code: TroubleCode) -> ApiProblem:
    """What could not be looked up."""
    zh, en = STORE_REASONS.get(code, ("数据库出错", "the database fails"))
    return ApiProblem(
        "store_unavailable",
        f"暂时查不到:{zh}。警情和设备的最新状态仍在屏幕上。",
        f"It can't be looked up now: {en}. Incidents and devices on screen are still current.",
        headers={"Retry-After": "5"},
    )


def wants_chinese(accept_language: str) -> bool:
    """Whether the reader's first choice of our two languages is Chinese; no word about it means yes."""
    ranked = []
    for position, part in enumerate(accept_language.lower().split(",")):
        tag, _, quality = part.strip().partition(";q=")
        weight = float(quality) if quality.replace(".", "", 1).isdigit() else 1.0
        if tag.startswith(("zh", "en")):
            ranked.append((-weight, position, tag))
    return not ranked or min(ranked)[2].startswith("zh")


def render(problem: ApiProblem, accept_language: str) -> Response:
    """`problem` as `application/problem+json`."""
    status, title_zh, title_en = CATALOGUE[problem.code]
    chinese = wants_chinese(accept_language)
    title = title_zh if chinese else title_en
    body: dict[str, Any] = {
        "type": f"about:blank#{problem.code}",
        "code": problem.code,
        "status": status,
        "title": title,
        "detail": (problem.zh if chinese else problem.en) or title,
        "field": problem.field,
    }
    if problem.current is not None:
        body["current"] = problem.current
    metrics.PROBLEMS.labels(problem.code).inc()
    headers = {
        "Cache-Control": "no-store",
        "Content-Language": "zh-CN" if chinese else "en",
        **problem.headers,
    }
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


_REASONS: Mapping[str, tuple[str, str]] = {
    "missing": ("缺少此项", "is missing"),
    "extra_forbidden": ("没有此项", "is not known here"),
    "json_invalid": ("不是有效的 JSON", "is not valid JSON"),
    "string_type": ("应为文字", "must be text"),
    "int_type": ("应为整数", "must be a whole number"),
    "float_type": ("应为数字", "must be a number"),
    "bool_type": ("应为是或否", "must be true or false"),
    "list_type": ("应为列表", "must be a list"),
    "string_too_short": ("太短", "is too short"),
    "string_too_long": ("太长", "is too long"),
    "string_pattern_mismatch": ("格式不正确", "has a wrong form"),
}


def from_validation(errors: Sequence[Mapping[str, Any]]) -> ApiProblem:
    """The first thing that is wrong with what was sent, with its field. Never echoes the value."""
    first = errors[0] if errors else {"loc": (), "type": "unknown", "msg": "not valid"}
    location = [str(step) for step in first.get("loc", ()) if step not in ("body", "query", "path", "header")]
    kind, message = str(first.get("type", "")), str(first.get("msg", ""))
    if kind == "json_invalid":
        location = []
    field = ".".join(location)
    zh, en = _REASONS.get(kind, (f"不符合要求({message})", message))
    more_zh = f"(另有 {len(errors) - 1} 处)" if len(errors) > 1 else ""
    more_en = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return ApiProblem(
        "invalid", f"{field or '内容'}:{zh}{more_zh}", f"{field or 'body'}: {en}{more_en}", field=field
    )


_BY_STATUS = {400: "bad_request", 401: "not_signed_in", 403: "forbidden", 404: "not_found"} | {
    405: "method_not_allowed",
    413: "too_large",
    415: "wrong_media_type",
}


def from_http(error: HTTPException) -> ApiProblem:
    """What the framework itself refuses."""
    return ApiProblem(_BY_STATUS.get(error.status_code, "bad_request"), headers=error.headers)


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem document."""

    async def ours(request: Request, error: Exception) -> Response:
        language = request.headers.get("accept-language", "")
        if isinstance(error, ApiProblem):
            return render(error, language)
        if isinstance(error, RequestValidationError):
            return render(from_validation(error.errors()), language)
        if isinstance(error, HTTPException):
            return render(from_http(error), language)
        code = code_of(str(error))
        log.error(
            "store failed a request", path=request.url.path, reason=type(error).__name__, code=code.value
        )
        changing = request.method not in ("GET", "HEAD")
        return render(not_stored(code) if changing else not_read(code), language)

    for kind in (ApiProblem, RequestValidationError, HTTPException, StoreUnavailable, SQLAlchemyError):
        app.add_exception_handler(kind, ours)
