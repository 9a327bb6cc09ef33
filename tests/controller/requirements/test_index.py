"""Where packages come from: pip's settings in uv's words, and uv's own before them."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.errors import TraplineError
from trapline.requirements.index import UvSettings, find_settings, uv_settings

VARIABLES = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
    "PIP_TRUSTED_HOST": ("UV_INSECURE_HOST",),
    "PIP_CERT": ("SSL_CERT_FILE",),
}
NAMES = sorted({*VARIABLES, *(name for names in VARIABLES.values() for name in names)})
ENV = st.dictionaries(st.sampled_from([*NAMES, "PATH"]), st.sampled_from(["", "https://a.example/simple", "/b"]))


@given(ENV)
def test_what_uv_is_told_already_is_never_changed(env: dict[str, str]) -> None:
    told = uv_settings(env, pip={}, uv={}).env
    assert not [name for name in told if env.get(name)]
    for pip, (first, *others) in VARIABLES.items():
        silent = not any(env.get(name) for name in (first, *others))
        assert told.get(first) == (env[pip] if env.get(pip) and silent else None)
        assert not any(name in told for name in others)


@given(ENV)
def test_a_file_says_what_a_variable_says(env: dict[str, str]) -> None:
    pip = {name: value for name, value in env.items() if name.startswith("PIP_")}
    others = {name: value for name, value in env.items() if name not in pip}
    lines = [f"{name.removeprefix('PIP_').lower()} = {value}" for name, value in pip.items()]
    text = "\n".join(["[global]", *lines]).replace("index_url", "index-url")
    assert uv_settings(others, pip={"pip.conf": text}, uv={}) == uv_settings(env, pip={}, uv={})


def test_lists_are_written_as_uv_reads_them() -> None:
    text = """
[global]
extra-index-url =
    https://a.example/simple
    https://b.example/simple
find-links = ~/wheels  https://c.example/
trusted-host = a.example b.example
"""
    assert uv_settings({"HOME": "/home/me"}, pip={"pip.conf": text}, uv={}).env == {
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-first-match",
        "UV_FIND_LINKS": "/home/me/wheels,https://c.example/",
        "UV_INSECURE_HOST": "a.example b.example",
    }


def test_pips_order() -> None:
    files = {
        "/etc/pip.conf": "[global]\nindex-url = https://machine\n[install]\nindex-url = https://machine-install\n",
        "~/.config/pip/pip.conf": "[global]\nindex-url = https://user\ncert = /user.pem\n",
    }
    assert uv_settings({}, pip=files, uv={}).env == {
        "UV_DEFAULT_INDEX": "https://machine-install",
        "SSL_CERT_FILE": "/user.pem",
    }
    assert uv_settings({"PIP_INDEX_URL": "https://env"}, pip=files, uv={}).env["UV_DEFAULT_INDEX"] == "https://env"


@pytest.mark.parametrize(
    ("toml", "left"),
    [
        ('index-url = "https://uv"', {"UV_INDEX", "UV_FIND_LINKS"}),
        ('[pip]\nextra-index-url = ["https://uv"]', {"UV_DEFAULT_INDEX", "UV_FIND_LINKS"}),
        ('[[index]]\nurl = "https://uv"', {"UV_FIND_LINKS"}),
        ('find-links = ["/uv"]', {"UV_DEFAULT_INDEX", "UV_INDEX"}),
        ("not = [toml", {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"}),
    ],
)
def test_what_uv_toml_says_wins(toml: str, left: set[str]) -> None:
    env = {"PIP_INDEX_URL": "https://pip", "PIP_EXTRA_INDEX_URL": "https://more", "PIP_FIND_LINKS": "/links"}
    assert uv_settings(env, pip={}, uv={"uv.toml": toml}).env.keys() - {"UV_INDEX_STRATEGY"} == left


def test_an_extra_index_of_pip_is_asked_for_what_the_first_does_not_have_as_long_as_uv_says_nothing_else() -> None:
    env = {"PIP_EXTRA_INDEX_URL": "https://more"}
    assert uv_settings(env, pip={}, uv={}).env["UV_INDEX_STRATEGY"] == "unsafe-first-match"
    assert "UV_INDEX_STRATEGY" not in uv_settings({**env, "UV_INDEX_STRATEGY": "first-index"}, pip={}, uv={}).env
    assert "UV_INDEX_STRATEGY" not in uv_settings(env, pip={}, uv={"uv.toml": 'index-strategy = "first-index"'}).env
    assert "UV_INDEX_STRATEGY" not in uv_settings({"PIP_INDEX_URL": "https://one"}, pip={}, uv={}).env


def test_no_index_is_a_flag() -> None:
    assert uv_settings({"PIP_NO_INDEX": "1"}, pip={}, uv={}).flags == ("--no-index",)
    assert uv_settings({}, pip={"pip.conf": "[global]\nno-index = yes\n"}, uv={}).flags == ("--no-index",)
    assert uv_settings({"PIP_NO_INDEX": "0"}, pip={}, uv={}).flags == ()
    assert uv_settings({"PIP_NO_INDEX": "1", "UV_INDEX": "https://uv"}, pip={}, uv={}).flags == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("index-url = https://user:hidden@host\n", 1),
        ("[global]\n\nhidden\n", 3),
        ("[global]\nhidden = 1\nhidden = 2\n", 3),
        ("[hidden]\n[hidden]\n", 2),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_line_and_nothing_of_it(text: str, line: int) -> None:
    with pytest.raises(TraplineError, match=rf"/etc/pip\.conf:{line} \(correct") as caught:
        uv_settings({}, pip={"/etc/pip.conf": text}, uv={})
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_files_are_found_where_pip_and_uv_look_for_them(tmp_path: Path) -> None:
    home, machine, named = tmp_path / "home", tmp_path / "machine", tmp_path / "named.conf"
    _write(machine / "pip/pip.conf", "[global]\nindex-url = https://machine\nfind-links = /machine\n")
    _write(home / ".pip/pip.conf", "[global]\nfind-links = /legacy\n")
    _write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user\n")
    env = {"HOME": str(home), "XDG_CONFIG_DIRS": str(machine)}
    assert _told(env) == ("https://user", "/legacy")
    _write(named, "[global]\nfind-links = /named\n")
    assert _told({**env, "PIP_CONFIG_FILE": str(named)}) == ("https://user", "/named")
    assert find_settings({**env, "PIP_CONFIG_FILE": os.devnull}) == UvSettings({})
    assert _told({**env, "XDG_CONFIG_HOME": str(tmp_path / "none")}) != ("https://user", "/legacy")
    _write(home / ".config/uv/uv.toml", 'find-links = ["/uv"]')
    assert _told(env) == ("https://user", None)
    assert _told({**env, "UV_NO_CONFIG": "1"}) == ("https://user", "/legacy")
    assert _told({**env, "UV_CONFIG_FILE": str(tmp_path / "none.toml")}) == ("https://user", "/legacy")


def _told(env: dict[str, str]) -> tuple[str | None, str | None]:
    told = find_settings(env).env
    return told.get("UV_DEFAULT_INDEX"), told.get("UV_FIND_LINKS")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
