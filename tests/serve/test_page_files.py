"""The files of the page: small modules, nothing from elsewhere, no markup made from text, nothing inline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "limpid"
STATIC = SOURCE / "serve" / "static"
SCRIPTS = sorted([*STATIC.rglob("*.js"), *(SOURCE / "viewer").glob("*.js")])
PAGES = sorted(STATIC.rglob("*.html"))
TEXTS = [*SCRIPTS, *PAGES, *sorted(STATIC.rglob("*.css")), *sorted(STATIC.rglob("*.svg"))]
MOST_LINES = 250


def named(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_scripts_are_small_modules_that_say_what_they_are_for(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert "/**" in text or text.startswith("//")
    assert not re.search(r"\b(window|globalThis)\.\w+\s*=[^=]", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_text_never_becomes_markup_or_code(path: Path) -> None:
    text = path.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function", text
    )
    assert not re.search(r"""setAttribute\(["']style|\.cssText""", text)


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"""https?://|["'(]//\w|@import|url\((?!["']?data:)""", text)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_pages_have_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert not re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", text)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_files_that_pages_name_are_there(path: Path) -> None:
    for name in re.findall(r'(?:src|href)="/static/([^"]+)"', path.read_text()):
        assert (STATIC / name).is_file(), name


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_modules_that_are_imported_are_there_and_have_what_is_asked_for(path: Path) -> None:
    for names, target in re.findall(r'^import \{([^}]+)\} from "([^"]+)";$', path.read_text(), re.MULTILINE):
        file = path.parent / target if "/viewer/" not in target else SOURCE / "viewer" / Path(target).name
        text = file.read_text()
        for name in names.replace(",", " ").split():
            assert re.search(rf"^export (async )?(const|function|class) {name}\b", text, re.MULTILINE), name
