"""The commands as somebody types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jifang.cli import app
from jifang.settings import Settings, StoreSettings, dump
from tests.keeping.conftest import ON_ONE, Keep, jpeg

runner = CliRunner()


def configured(folder: Path, url: str, data: Path) -> list[str]:
    file = folder / f"{data.name}.toml"
    file.write_text(dump(Settings(data=str(data), store=StoreSettings(url=url))), encoding="utf-8")
    return ["--settings", str(file)]


def run(*words: str, status: int = 0) -> str:
    result = runner.invoke(app, list(words))
    assert result.exit_code == status, result.output
    return result.output


def test_from_backup_to_restored_with_every_count_shown(keep: Keep, tmp_path: Path) -> None:
    for number in range(4):
        keep.motion(jpeg(number))
    keep.close_incident(keep.burglary())
    keep.audit("camera:c-01")
    here = configured(tmp_path, keep.url, keep.data)
    file = str(tmp_path / "night.jifang")
    told = run("verify", *here)
    assert "完整无误" in told
    assert f"{len(keep.seqs())}" in told
    assert "observation 10" in told
    told = run("backup", file, *here)
    assert "seal.key" in told
    assert "4 图片" in told
    assert "--force" in run("backup", file, *here, status=2)
    made = json.loads(run("backup", file, "--force", "--with-key", "--json", *here).splitlines()[-1])
    assert made["log"]["head"] == keep.store.head
    proof = json.loads(run("verify", file, "--json").splitlines()[-1])
    assert (proof["ok"], proof["head"], proof["stills"]) == (True, keep.store.head, 4)
    there = configured(tmp_path, f"sqlite:///{tmp_path}/there.db", tmp_path / "there")
    told = run("restore", file, *there)
    assert "封存密钥已恢复" in told
    assert "isn't empty" in run("restore", file, *there, status=2)
    assert json.loads(run("verify", "--json", *there).splitlines()[-1])["head"] == keep.store.head + 1


@ON_ONE
def test_a_break_is_named_and_is_the_exit_status(keep: Keep, tmp_path: Path) -> None:
    keep.motion()
    keep.do(lambda tx: tx.connection.exec_driver_sql("update entries set actor = 'nobody' where seq = 5"))
    here = configured(tmp_path, keep.url, keep.data)
    assert "log 5:" in run("verify", *here, status=1)
    found = json.loads(run("verify", "--json", *here, status=1).splitlines()[-1])
    assert (found["ok"], found["faults"][0]["at"]) == (False, "5")
    assert "broken there" in run("backup", str(tmp_path / "a.jifang"), *here, status=1)


@ON_ONE
def test_what_would_go_is_said_and_nothing_goes(keep: Keep, tmp_path: Path) -> None:
    keep.motion(jpeg(1))
    before = keep.seqs()
    here = configured(tmp_path, keep.url, keep.data)
    told = json.loads(run("retention", "--dry-run", "--json", *here).splitlines()[-1])
    assert told["motion"]["rows"] == 0
    assert (told["motion"]["days"], told["motion"]["floor"]) == (90, 30)
    assert "799" in run("retention", "--dry-run", *here)
    assert "--dry-run" in run("retention", *here, status=2)
    assert keep.seqs() == before


@pytest.mark.parametrize("words", [("verify",), ("backup", "x.jifang"), ("retention", "--dry-run")])
def test_a_store_that_is_not_there_is_said_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    here = configured(tmp_path, f"sqlite:///{tmp_path}/none.db", tmp_path / "none")
    assert "no such file" in run(*words, *here, status=2)
    assert not (tmp_path / "none.db").exists()


def test_a_password_is_never_shown(tmp_path: Path, free_port: Callable[[], int]) -> None:
    (tmp_path / "password").write_text("secret\n")
    store = StoreSettings(
        url=f"postgresql://jifang@127.0.0.1:{free_port()}/none", password_file=str(tmp_path / "password")
    )
    file = tmp_path / "jifang.toml"
    file.write_text(dump(Settings(data=str(tmp_path), store=store)), encoding="utf-8")
    told = run("verify", "--settings", str(file), status=2)
    assert "secret" not in told
    assert "127.0.0.1" in told


def test_a_setting_under_its_floor_is_named_with_its_table(tmp_path: Path) -> None:
    file = tmp_path / "jifang.toml"
    file.write_text("[retention]\nmotion_days = 7\n")
    told = run("retention", "--dry-run", "--settings", str(file), status=2)
    assert "[retention] motion_days: 7 is under the floor of 30 days" in told


def test_help_is_in_both_languages() -> None:
    for command in ("verify", "backup", "restore", "retention"):
        told = run(command, "--help")
        assert "·" in told
