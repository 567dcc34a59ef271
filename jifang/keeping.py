"""What `verify`, `backup`, `restore` and `retention` tell: words for people, or one JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape

from hub.domain.retention import FLOORS, SHANGHAI, RetentionClass, Terms
from hub.retention import Planned, plan
from hub.store.archive import Manifest
from hub.store.snapshot import snapshot
from jifang.restore import Restored
from jifang.verify import Verified

_MOST_NAMED = 20
"""Faults that are named on the screen; `--json` names all."""
_KEYS = {
    "restored": "封存密钥已恢复，设备口令可用 · seal.key restored: the cameras' credentials can be used",
    "present": "现有封存密钥相符，设备口令可用 · the seal.key that is there fits",
    "absent": (
        "备份不含封存密钥：请把原机的 seal.key 放入数据目录，否则摄像机的登录信息须重新登记 · "
        "the archive holds no key: put the old machine's seal.key into the data folder, "
        "or register the cameras' credentials again"
    ),
    "other": (
        "数据目录里的 seal.key 不是原来那把：摄像机的登录信息无法解封 · "
        "the seal.key that is there is another one: the cameras' credentials can't be unsealed with it"
    ),
    "none": "",
}
_CLASSES = {
    RetentionClass.MOTION: "移动与画面 motion",
    RetentionClass.STILLS: "图片 stills",
    RetentionClass.POSITIONS: "位置 positions",
    RetentionClass.HEARTBEATS: "心跳 heartbeats",
    RetentionClass.ALARMS: "报警与设备 alarms",
    RetentionClass.INCIDENTS: "警情 incidents",
    RetentionClass.QUARANTINE: "隔离区 quarantine",
    RetentionClass.AUDIT: "审计日志 audit",
}


def _local(at: datetime | None) -> str:
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") if at else "–"


def _print_json(value: object) -> None:
    print(msgspec.json.encode(value, order="deterministic").decode())


def show_verified(found: Verified, screen: Console, *, as_json: bool = False) -> None:
    """The proof and its counts."""
    if as_json:
        _print_json(verified_json(found))
        return
    kinds = "  ".join(f"{kind} {count:,}" for kind, count in found.kinds.items())
    rows = (
        ("条目 entries", f"{found.entries:,}  ({kinds})"),
        ("时间 from – to", f"{_local(found.first_at)} – {_local(found.last_at)}"),
        ("已按期删除 pruned", f"{found.pruned_entries:,} in {found.pruned_runs:,}"),
        ("末条 head", f"{found.head}  {found.hash}"),
        ("审计 audit rows", f"{found.audit_rows:,}"),
        ("图片 stills", f"{found.stills:,}"),
    )
    for name, value in rows:
        screen.print(f"  {name:20} {value}", highlight=False, soft_wrap=True)
    for fault in found.faults[:_MOST_NAMED]:
        screen.print(
            f"[red]✗ {fault.where} {fault.at}:[/red] {escape(fault.reason)}", highlight=False, soft_wrap=True
        )
    if len(found.faults) > _MOST_NAMED:
        screen.print(f"[red]✗ … {len(found.faults) - _MOST_NAMED}[/red]")
    if found.ok:
        screen.print("[green]✓ 完整无误 · all of it is what was written[/green]")


def verified_json(found: Verified) -> dict[str, Any]:
    """The proof as JSON's own types."""
    return {**msgspec.to_builtins(found), "ok": found.ok}


def show_backup(manifest: Manifest, file: Path, screen: Console, *, as_json: bool = False) -> None:
    """What was backed up, and what can't be restored from it."""
    if as_json:
        told = msgspec.to_builtins(manifest)
        _print_json({"file": str(file), "bytes": file.stat().st_size, **told})
        return
    stills = manifest.member("stills.tar")
    screen.print(
        f"[green]✓[/green] {file}  {file.stat().st_size:,} B  {manifest.rows:,} 行 rows, "
        f"{stills.rows if stills else 0:,} 图片 stills, head {manifest.log.head}",
        highlight=False,
        soft_wrap=True,
    )
    if manifest.missing_stills:
        screen.print(f"[red]✗ 缺图片 missing stills: {len(manifest.missing_stills):,}[/red]")
    if manifest.log.broken_at is not None:
        screen.print(
            f"[red]✗ 日志链在 {manifest.log.broken_at} 处断开，已照原样备份 · "
            f"the log is broken there, and backed up as it is:[/red] {escape(manifest.log.broken_reason)}",
            soft_wrap=True,
        )
    if manifest.key.fingerprint and not manifest.key.included:
        screen.print(
            "不含封存密钥 seal.key：没有它，摄像机的登录信息无法恢复；请另行妥善保存，或用 --with-key · "
            "without seal.key: keep that elsewhere, or use --with-key; lost, so are the credentials",
            soft_wrap=True,
        )


def show_restored(restored: Restored, screen: Console, *, as_json: bool = False) -> None:
    """What was restored, the proof of it, and what is still to be done."""
    if as_json:
        manifest = msgspec.to_builtins(restored.manifest)
        _print_json({"manifest": manifest, "verified": verified_json(restored.verified), "key": restored.key})
        return
    show_verified(restored.verified, screen)
    made_at = _local(datetime.fromisoformat(restored.manifest.made_at))
    screen.print(
        f"已恢复 {made_at} 的备份；其后收到的内容不在其中 · restored as of then; what came later isn't in it",
        highlight=False,
        soft_wrap=True,
    )
    if _KEYS[restored.key]:
        screen.print(_KEYS[restored.key], soft_wrap=True)


def plan_of(store_url: str, terms: Terms, now: datetime) -> dict[RetentionClass, Planned]:
    """What retention would delete now, on one snapshot. Raises `NoStore`."""
    with snapshot(store_url) as connection:

        def ask(query: Any) -> Any:
            return query(connection)

        return plan(ask, terms, now)


def show_plan(plan: Mapping[RetentionClass, Planned], screen: Console, *, as_json: bool = False) -> None:
    """What would go."""
    if as_json:
        _print_json({of.value: one for of, one in plan.items()})
        return
    for of, one in plan.items():
        screen.print(
            f"{_CLASSES[of]}: {one.days} 天 days (≥ {one.floor}, {escape(FLOORS[of].source)}); "
            f"早于 before {_local(one.cutoff)[:10]}; [bold]将删除 would go {one.rows:,}[/bold]",
            highlight=False,
            soft_wrap=True,
        )


__all__ = ["plan_of", "show_backup", "show_plan", "show_restored", "show_verified", "verified_json"]
