"""What the documentation shows is tried: Python examples run, commands are parsed, links and names lead somewhere."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import bad_files
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


EXAMPLES = [(page, code) for page in PAGES for code in blocks(page, "python")]


@pytest.mark.parametrize(("page", "code"), EXAMPLES, ids=[f"{page.stem}-{n}" for n, (page, _) in enumerate(EXAMPLES)])
def test_python_examples_run(page: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad_files.video(tmp_path / "film.mp4", frames=8)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), "exec"), {"__name__": "__example__"})


def test_the_readme_has_examples() -> None:
    assert len(blocks(REPOSITORY / "README.md", "python")) >= 2


def test_commands_in_the_documentation_can_be_parsed() -> None:
    from limpid.cli.options import given_settings
    from limpid.cli.parser import parse
    from limpid.cli.upscale import make_parser
    from limpid.settings import Settings

    lines = [line for page in PAGES for code in blocks(page, "") for line in code.splitlines()]
    commands = [shlex.split(line, comments=True)[2:] for line in lines if line.startswith("limpid upscale ")]
    commands = [command for command in commands if "[options]" not in command]
    assert len(commands) >= 5
    for command in commands:
        Settings().replace(**given_settings(parse(make_parser(), command)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_and_modules_exist(page: Path) -> None:
    """``src/limpid/methods.py`` and ``limpid.plan.segments`` in backticks are real."""
    for name in re.findall(r"`((?:src|tests|docs|examples|benchmarks|scripts)/[\w./-]+)`", page.read_text()):
        assert (REPOSITORY / name).exists(), f"{page.name} names {name}"
    for name in re.findall(r"`(limpid(?:\.[a-z_]+)+)(?<!\.json)(?:\(\))?`", page.read_text()):
        module, _, attribute = name.rpartition(".")
        found = find(name) or hasattr(importlib.import_module(module), attribute)
        assert found, f"{page.name} names {name}"


def find(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
