"""The documentation as a site: every page is in the navigation, no warning, nothing loaded from afar."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from doc_pages import DOCS, REPOSITORY


@pytest.fixture(scope="module")
def config() -> Any:
    return tomllib.loads((REPOSITORY / "zensical.toml").read_text())["project"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "zensical.toml", folder)
    shutil.copytree(DOCS, folder / "docs")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and "No issues found" in done.stderr, done.stdout + done.stderr
    return folder / "build" / "site"


def named(items: list[dict[str, Any]]) -> Iterator[str]:
    """The pages of a navigation, from top to bottom."""
    for item in items:
        for value in item.values():
            yield from [value] if isinstance(value, str) else named(value)


def test_the_navigation_has_every_page_once(config: Any) -> None:
    pages = list(named(config["nav"]))
    assert len(pages) == len(set(pages))
    assert set(pages) == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def test_every_page_becomes_one(site: Path, config: Any) -> None:
    for page in named(config["nav"]):
        made = site / (page if page == "index.md" else page.removesuffix(".md"))
        file = made.with_name("index.html") if page == "index.md" else made / "index.html"
        assert file.exists(), page
        assert "<h1" in file.read_text()


class Loaded(HTMLParser):
    """What a browser fetches with a page, without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.addresses += [said["src"] or ""] if "src" in said else []
        self.addresses += [said.get("href") or ""] if tag == "link" else []


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = Loaded()
    for page in site.rglob("*.html"):
        loaded.feed(page.read_text())
    assert len(loaded.addresses) > 100
    assert not [address for address in loaded.addresses if re.match(r"[a-z]+:|//", address)]
    assert not re.search(r"url\(['\"]?https?:", "".join(css.read_text() for css in site.rglob("*.css")))


def test_the_workflow_builds_it_as_make_does() -> None:
    jobs = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "docs.yml").read_text())["jobs"]
    assert {"run": "make site"} in jobs["build"]["steps"] and jobs["publish"]["needs"] == "build"
    assert "zensical build --strict" in (REPOSITORY / "Makefile").read_text()
    (upload,) = [step["with"]["path"] for step in jobs["build"]["steps"] if "pages-artifact" in step.get("uses", "")]
    assert upload == tomllib.loads((REPOSITORY / "zensical.toml").read_text())["project"]["site_dir"]
