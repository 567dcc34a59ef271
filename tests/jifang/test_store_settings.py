"""Where the log is kept: named without a password, tried by `jifang doctor`, used by `jifang user`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.store.engine import Store
from hub.store.tables.accounts import people
from hub.store.trial import complaint
from jifang.demo import DemoFailed, _store_settings
from jifang.doctor import examine
from jifang.people import add_person
from jifang.settings import Settings, SettingsError, StoreSettings, dump, parse
from tests.postgresql import SIGNED_PASSWORD, SIGNED_ROLE, PostgreSQL

PASSWORD = "correct horse battery"


def test_sqlite_in_the_data_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings(data=str(tmp_path)).store_url == f"sqlite:///{tmp_path}/jifang.db"


def test_a_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pw").write_text("se/cr@t\n")
    text = f'[store]\nurl = "postgresql://jifang@db.city:5433/log"\npassword_file = "{tmp_path / "pw"}"'
    settings = parse(text)
    url = sa.make_url(settings.store_url)
    assert (url.drivername, url.host, url.port, url.username, url.password, url.database) == (
        "postgresql+psycopg",
        "db.city",
        5433,
        "jifang",
        "se/cr@t",
        "log",
    )
    assert "se/cr@t" not in repr(settings)
    assert "se/cr@t" not in dump(settings)
    monkeypatch.setenv("JIFANG_STORE_PASSWORD", "other")
    bare = parse('[store]\nurl = "postgresql+psycopg://jifang@db.city/log"')
    assert sa.make_url(bare.store_url).password == "other"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://jifang:secret@db/log", "no password in a URL"),
        ("postgresql://jifang@db/log?password=secret", "no password in a URL"),
        ("mysql://jifang:secret@db/log", "mysql is not supported"),
        ("postgresql+asyncpg://jifang@db/log", "asyncpg is not supported"),
        ("postgresql://db", "names no database"),
        ("secret", "expected postgresql"),
    ],
)
def test_a_wrong_store_url_is_refused_without_showing_it(url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        parse(f'[store]\nurl = "{url}"')
    assert "secret" not in str(refused.value)


def test_a_password_file_that_is_missing_is_named(tmp_path: Path) -> None:
    settings = parse(f'[store]\nurl = "postgresql://j@db/log"\npassword_file = "{tmp_path / "none"}"')
    with pytest.raises(SettingsError, match=r"password_file.*none"):
        _ = settings.store_url


def test_the_demo_moves_a_password_into_a_file_of_its_own(tmp_path: Path) -> None:
    told = _store_settings("postgresql://jifang:se%40cret@127.0.0.1:5432/demo", tmp_path)
    assert told.url == "postgresql://jifang@127.0.0.1:5432/demo"
    assert Path(told.password_file).stat().st_mode & 0o077 == 0
    assert sa.make_url(Settings(store=told).store_url).password == "se@cret"
    assert _store_settings("", tmp_path) == StoreSettings()
    with pytest.raises(DemoFailed):
        _store_settings("nonsense", tmp_path)


def test_a_trial_leaves_nothing_behind(store_url: str) -> None:
    assert complaint(store_url) == ""
    if store_url.startswith("sqlite"):
        assert not Path(store_url.removeprefix("sqlite:///")).exists()
    store = Store.open(store_url)
    assert complaint(store_url) == "", "beside a hub that runs"
    assert not store.query(lambda c: sa.inspect(c).has_table("jifang_trial"))
    store.close()


def test_the_doctor_says_what_is_wrong_with_the_store(
    postgresql: PostgreSQL, tmp_path: Path, free_port: object
) -> None:
    postgresql.database("doctored", role=SIGNED_ROLE)
    (tmp_path / "pw").write_text(f"{SIGNED_PASSWORD}\n")
    url = f"postgresql://{SIGNED_ROLE}@127.0.0.1:{postgresql.port}/doctored"
    well = Settings(data=str(tmp_path), store=StoreSettings(url=url, password_file=str(tmp_path / "pw")))
    assert _advice(well) == ""
    (tmp_path / "pw").write_text("wrong-password\n")
    told = _advice(well)
    assert "password authentication failed" in told
    assert "wrong-password" not in told
    gone = Settings(data=str(tmp_path), store=StoreSettings(url="postgresql://j@127.0.0.1:1/none"))
    assert "onnection" in _advice(gone)
    unsafe = f"postgresql://jifang@127.0.0.1:{postgresql.port}/doctored"
    assert "permission denied" in _advice(Settings(data=str(tmp_path), store=StoreSettings(url=unsafe)))
    postgresql.drop("doctored")


def _advice(settings: Settings) -> str:
    found = next(one for one in examine(settings) if "store" in one.what)
    assert found.well is not bool(found.advice)
    return found.advice


def test_an_account_can_be_made_beside_a_running_hub(postgresql: PostgreSQL, tmp_path: Path) -> None:
    url = postgresql.database("accounts")
    settings = Settings(data=str(tmp_path), store=StoreSettings(url=url))
    hub = Store.open(settings.store_url)
    assert asyncio.run(add_person(settings, "wang", "王", PASSWORD, ("operator",), "")) == ""
    assert "wang" in asyncio.run(add_person(settings, "wang", "王", PASSWORD, ("operator",), ""))
    assert hub.query(lambda c: list(c.execute(sa.select(people.c.name)).scalars())) == ["wang"]
    hub.close()
    postgresql.drop("accounts")
