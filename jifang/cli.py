"""The `jifang` command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.markup import escape

from jifang.settings import Settings, SettingsError, load

app = typer.Typer(
    help="技防 Jifang：城市技术防范网络的接警与指挥中枢 · the hub of a city's technical-defence network",
    no_args_is_help=True,
)
user_app = typer.Typer(help="账户 · accounts", no_args_is_help=True)
app.add_typer(user_app, name="user")
edge_app = typer.Typer(help="边缘节点 · the edge beside the cameras", invoke_without_command=True)
app.add_typer(edge_app, name="edge")

SettingsOption = Annotated[Path | None, typer.Option("--settings", help="jifang.toml")]
screen = Console(stderr=True)


def _settings(path: Path | None) -> tuple[Settings, Path]:
    try:
        settings = load(path)
        settings.store_url  # noqa: B018 - a password file that can't be read is told here, not by a part
    except SettingsError as error:
        screen.print(f"[red]配置有误 · settings:[/red] {escape(str(error))}")
        raise typer.Exit(2) from error
    return settings, path or Path("jifang.toml")


def _log_to_stderr() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


@app.command()
def serve(settings: SettingsOption = None) -> None:
    """启动全部部分并看护 · run and supervise every part: broker, hub, adapters, edge."""
    from jifang.serve import serve as run

    loaded, path = _settings(settings)
    asyncio.run(run(loaded, path))


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option("--for", help="无人值守运行的秒数 · run unattended, then end")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="最后输出一个 JSON 对象 · print one JSON object last")
    ] = False,
    footage: Annotated[
        list[Path] | None,
        typer.Option(help="把影片作为摄像机接入 · serve films as cameras", exists=True, dir_okay=False),
    ] = None,
    more_footage: Annotated[
        list[Path] | None, typer.Argument(help="更多影片 · more films", exists=True, dir_okay=False)
    ] = None,
    data: Annotated[Path | None, typer.Option(help="数据目录 · data folder; default: a fresh one")] = None,
    port: Annotated[int, typer.Option(help="控制台端口 · port of the console")] = 8110,
    seed: Annotated[int, typer.Option(help="模拟辖区的种子 · seed of the district")] = 1,
    story: Annotated[Path | None, typer.Option(help="剧本 · story file", exists=True)] = None,
    store: Annotated[
        str, typer.Option(help="空数据库的地址，默认为 SQLite · URL of an empty database; default: SQLite")
    ] = "",
) -> None:
    """在模拟辖区上运行整个产品 · the whole product on a simulated district."""
    from jifang.demo import DemoFailed, DemoOptions, run_blocking

    _log_to_stderr()
    films = (*(footage or ()), *(more_footage or ()))
    options = DemoOptions(
        seconds=seconds,
        folder=data,
        port=port,
        seed=seed,
        footage=films,
        story=story,
        store=store,
        as_json=as_json,
    )
    try:
        figures = run_blocking(options)
    except DemoFailed as error:
        screen.print(f"[red]演示未能启动 · the demo failed:[/red] {error}")
        raise typer.Exit(1) from error
    if figures is not None:
        _show(figures, as_json)


def _show(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    for name, value in figures.items():
        print(f"  {name:24} {value}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def simulate(context: typer.Context) -> None:
    """以独立进程启动模拟设备 · the simulated field devices, a process of their own."""
    raise typer.Exit(
        subprocess.run([sys.executable, "-m", "simulator", *context.args], check=False).returncode
    )


@app.command()
def doctor(settings: SettingsOption = None) -> None:
    """检查本机是否具备运行条件 · what this machine has and lacks."""
    from jifang.doctor import examine

    loaded, _path = _settings(settings)
    findings = examine(loaded)
    for finding in findings:
        mark = "[green]✓[/green]" if finding.well else "[red]✗[/red]"
        screen.print(f"{mark} {finding.what}" + (f" —— {finding.advice}" if not finding.well else ""))
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


@app.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="站点文件 · site files (JSON)")
    ],
    name: Annotated[str, typer.Option(help="用户 · sign in as", envvar="JIFANG_NAME")],
    settings: SettingsOption = None,
) -> None:
    """导入站点文件（口令读自 JIFANG_PASSWORD 或提示输入）· import site files into the running hub."""
    from jifang.importing import ImportRefused, import_files

    loaded, _path = _settings(settings)
    password = os.environ.get("JIFANG_PASSWORD") or typer.prompt("口令 password", hide_input=True)
    base = f"http://{loaded.http.host}:{loaded.http.port}"
    try:
        asyncio.run(import_files(base, name, password, files))
    except ImportRefused as error:
        screen.print(f"[red]未导入 · not imported:[/red] {error}")
        raise typer.Exit(1) from error


def _trouble(error: Exception) -> typer.Exit:
    """What went wrong, on the screen; exit status 2: it wasn't done."""
    screen.print(f"[red]未完成 · not done:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    return typer.Exit(2)


@app.command()
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="备份文件 · an archive; default: the store"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="输出一个 JSON 对象 · print one JSON object")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """从头到尾校验日志、审计日志与图片 · prove logs and pictures from end to end; status 1: broken."""
    from hub.store.snapshot import NoStore
    from jifang.keeping import show_verified
    from jifang.steps import bars
    from jifang.verify import UnknownFile, verify_file, verify_store

    loaded, _path = _settings(settings)
    try:
        with bars(screen) as steps:
            found = verify_file(file, steps) if file else verify_store(loaded.store_url, loaded.folder, steps)
    except (NoStore, UnknownFile, SettingsError, OSError) as error:
        raise _trouble(error) from error
    show_verified(found, screen, as_json=as_json)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="备份文件 · the archive to make")],
    with_key: Annotated[
        bool, typer.Option("--with-key", help="一并备份 seal.key（谁持有即可读取设备口令）· include the key")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="覆盖已有文件 · replace a file that is there")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="输出一个 JSON 对象 · print one JSON object")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """在线备份为一个文件 · back up the whole store as one file, while the hub runs; status 1: log broken."""
    from hub.store.snapshot import NoStore
    from jifang.backup import BackupOptions, BackupRefused
    from jifang.backup import backup as make
    from jifang.keeping import show_backup
    from jifang.steps import bars
    from wire.clock import utc_now

    loaded, _path = _settings(settings)
    try:
        options = BackupOptions(
            store_url=loaded.store_url, data=loaded.folder, file=file, with_key=with_key, force=force
        )
        with bars(screen) as steps:
            manifest = make(options, utc_now(), steps)
    except (BackupRefused, NoStore, SettingsError, OSError) as error:
        raise _trouble(error) from error
    show_backup(manifest, file, screen, as_json=as_json)
    if manifest.log.broken_at is not None:
        raise typer.Exit(1)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="备份文件 · the archive")],
    despite_break: Annotated[
        bool,
        typer.Option("--despite-break", help="备份时日志链已断也恢复 · even if its log was broken already"),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="输出一个 JSON 对象 · print one JSON object")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """恢复到空的存储（SQLite 或 PostgreSQL）· restore into an empty store of either kind, all or nothing."""
    from hub.store.archive import ArchiveError
    from jifang.keeping import show_restored
    from jifang.restore import RestoreOptions, RestoreRefused
    from jifang.restore import restore as put_back
    from jifang.steps import bars
    from wire.clock import utc_now

    loaded, _path = _settings(settings)
    try:
        options = RestoreOptions(
            file=file, store_url=loaded.store_url, data=loaded.folder, despite_break=despite_break
        )
        with bars(screen) as steps:
            restored = put_back(options, utc_now(), steps)
    except (RestoreRefused, ArchiveError, SettingsError, OSError) as error:
        raise _trouble(error) from error
    show_restored(restored, screen, as_json=as_json)
    if not restored.verified.ok:
        raise typer.Exit(1)


@app.command()
def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只列出将删除什么 · say what would go, delete nothing")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="输出一个 JSON 对象 · print one JSON object")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """各类数据保存多久、现在会删除什么 · how long what is kept, and what would go now."""
    from hub.store.snapshot import NoStore
    from jifang.keeping import plan_of, show_plan
    from wire.clock import utc_now

    loaded, _path = _settings(settings)
    if not dry_run:
        screen.print(
            "删除由中枢在夜间自行完成；--dry-run 列出将删除什么 · the hub deletes by itself at night; "
            "--dry-run says what would go"
        )
        raise typer.Exit(2)
    try:
        plan = plan_of(loaded.store_url, loaded.retention.terms, utc_now())
    except (NoStore, SettingsError, OSError) as error:
        raise _trouble(error) from error
    show_plan(plan, screen, as_json=as_json)


@user_app.command("add")
def user_add(
    name: str,
    role: Annotated[list[str], typer.Option(help="operator | installer | inspector | administrator")],
    display_name: Annotated[str, typer.Option(help="显示姓名 · name shown")] = "",
    place: Annotated[
        str, typer.Option(help="管辖区编号，空为全市 · jurisdiction; empty: the whole city")
    ] = "",
    settings: SettingsOption = None,
) -> None:
    """新建账户，口令从终端读入 · make an account; the password is asked for."""
    from jifang.people import add_person

    loaded, _path = _settings(settings)
    password = typer.prompt("口令 password", hide_input=True, confirmation_prompt=True)
    problem = asyncio.run(add_person(loaded, name, display_name or name, password, tuple(role), place))
    if problem:
        screen.print(f"[red]未建立 · not made:[/red] {problem}")
        raise typer.Exit(1)


@edge_app.callback()
def edge(context: typer.Context, settings: SettingsOption = None) -> None:
    """只运行边缘节点 · run the edge alone, with one configuration file."""
    if context.invoked_subcommand is None:
        part("edge", settings)


@edge_app.command("watch")
def edge_watch(files: Annotated[list[Path], typer.Argument(help="影片 · films")]) -> None:
    """对录像运行侦测，每个文件输出一个 JSON 对象 · watch recorded files; one JSON object a file."""
    from jifang.watching import watch_files

    _log_to_stderr()
    if not watch_files(files):
        raise typer.Exit(1)


@app.command(hidden=True)
def part(name: str, settings: SettingsOption = None) -> None:
    """Runs one part in this process; `serve` starts them so."""
    from jifang.parts import lay_out, run_part

    loaded, path = _settings(settings)
    run_part(name, lay_out(loaded, path))
