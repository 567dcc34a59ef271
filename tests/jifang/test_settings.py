"""The configuration file: typed, unknown keys refused, documented."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from jifang.settings import Settings, SettingsError, dump, external_broker, load, parse


def test_defaults_survive_being_written_and_read() -> None:
    assert parse(dump(Settings())) == Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[http]\nprot = 1", "prot"),
        ('[http]\nport = "x"', r"\$\.http\.port"),
        ("colour = 1", "colour"),
        ("[http", "Expected|expected"),
    ],
)
def test_a_wrong_key_or_type_is_named(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse(text)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jifang.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"jifang\.toml"):
        load(tmp_path / "jifang.toml")


def test_an_existing_broker_is_used_by_url(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("secret\n")
    text = f'[broker]\nurl = "mqtts://broker.city:8884"\nuser = "jifang"\npassword_file = "{tmp_path / "pw"}"'
    broker = external_broker(parse(text).broker)
    assert broker is not None
    assert (broker.host, broker.port, broker.user, broker.password, broker.tls) == (
        "broker.city",
        8884,
        "jifang",
        "secret",
        True,
    )
    assert "secret" not in repr(broker)
    assert external_broker(Settings().broker) is None


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://user:secret@host"])
def test_a_wrong_broker_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        external_broker(parse(f'[broker]\nurl = "{url}"').broker)
    assert "secret" not in str(refused.value)


def test_every_key_stands_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text(encoding="utf-8")
    for name, value in msgspec.to_builtins(Settings()).items():
        keys = [f"{name}.{key}" for key in value] if isinstance(value, dict) else [name]
        for key in keys:
            assert f"`{key}`" in page, f"{key} is not documented"
