from pathlib import Path

import pytest

import app
from tests.commands.cli_process import invoke

DOCUMENT = Path(app.__path__[0]).parent / "docs" / "settings.md"


def test_the_documented_settings_are_the_settings() -> None:
    done = invoke("settings")
    assert (done.code, done.err) == (0, "")
    heading, _, table = DOCUMENT.read_text().partition("| variable |")
    assert "| variable |" + table == done.out
    assert heading.startswith("# Settings\n")


@pytest.mark.parametrize("command", ["migrate", "doctor", "refresh", "serve", "demo"])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("port", "abc", "TICKGRAPH_PORT='abc'"),
        ("port", "70000", "must be from 0 to 65535"),
        ("pool_timeout_s", "nan", "must be from 0.1 to 600 seconds"),
        ("log_level", "LOUD", "must be DEBUG, INFO, WARNING or ERROR"),
        ("graphiql", "perhaps", "must be true or false"),
        ("data_dir", "~no-such-user-here/x", "TICKGRAPH_DATA_DIR='~no-such-user-here/x'"),
        ("databse_url", "x", "TICKGRAPH_DATABSE_URL is no setting; the settings are"),
    ],
)
def test_a_bad_setting_is_one_line(command: str, name: str, value: str, words: str) -> None:
    assert words in invoke(command, **{name: value}).one_line()


def test_an_empty_setting_is_its_default() -> None:
    done = invoke("settings", port="")
    assert (done.code, done.err) == (0, "")


def test_schema_is_printed_without_a_database(tmp_path: Path) -> None:
    done = invoke("schema", data_dir=tmp_path / "untouched")
    assert done.code == 0
    assert "type Query" in done.out
    assert not (tmp_path / "untouched").exists()
