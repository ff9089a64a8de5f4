"""What the documentation shows is tried: examples run, commands are parsed, links and names lead somewhere."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bad_files
import cv2
import image_networks
import pytest
from doc_pages import PAGES, REPOSITORY, Block, all_blocks, anchors, links, name_of, shell_lines, without_code

from limpid.cli.main import COMMANDS, main
from limpid.cli.options import given_settings
from limpid.cli.parser import Parser
from limpid.settings import Settings

LANGUAGES = {"python", "sh", "toml", "json", "text"}
"""Of blocks; ``text`` is no code: a drawing, a formula, a form that is explained."""


class ParsedError(BaseException):
    """The parser took a command, which then is not run; no `Exception`, so that nobody catches it."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of somebody who reads along, with the files that examples name."""
    bad_files.video(tmp_path / "film.mp4", frames=7, fps=Fraction(1, 2))
    for name in ("a.mp4", "b.mp4", "in.mp4", "videos/a.mp4", "videos/b.mov", "clips/a.mp4", "clips/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        large = name.startswith("clips")
        bad_files.video(tmp_path / name, frames=6, width=320 if large else 64, height=320 if large else 48)
    (tmp_path / "frames").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), bad_files.picture(number))
    (tmp_path / "models").mkdir()
    image_networks.nearest(tmp_path / "models" / "realesr-animevideov3-x4", scale=4)
    image_networks.nearest(tmp_path / "x4", scale=4)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "LIMPID_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(languages: str, *, run: bool) -> Any:
    """Blocks as parameters of a test, those that run or those that say why not."""
    found = [block for block in all_blocks(languages) if run == (not block.not_run)]
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_has_a_language_and_every_mark_a_block(page: Path) -> None:
    found = [block for block in all_blocks() if block.page == page]
    text = page.read_text()
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(found)
    assert len(re.findall(r"^ *<!-- (?:not run|needs):", text, re.MULTILINE)) == sum(
        bool(block.not_run or block.needs) for block in found
    )
    assert not re.findall(r"^    limpid .*", without_code(text), re.MULTILINE), "commands stand between fences"
    for block in found:
        assert block.language in LANGUAGES, f"{block} has the language {block.language!r}"
        commands = re.match(r"(?:limpid|pip|python|make|docker) .*", block.text)
        form = commands is None or "[options]" in commands[0]
        assert block.language != "text" or form, f"{block} has commands; call it sh"


@shown("python", run=True)
@pytest.mark.usefixtures("folder")
def test_python_examples_run(block: Block) -> None:
    if block.needs:
        pytest.importorskip(block.needs)
    exec(compile(block.text, str(block), "exec"), {"__name__": "__example__"})


@pytest.mark.slow
def test_python_examples_are_typed(tmp_path: Path) -> None:
    """As strictly as the package itself: a second with the cache of mypy in the checkout, which this test fills."""
    for number, block in enumerate(all_blocks("python")):
        (tmp_path / f"{block.page.stem.replace('-', '_')}_{number}.py").write_text(block.text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", *sorted(map(str, tmp_path.glob("*.py")))],
        cwd=REPOSITORY,
        env={**os.environ, "MYPYPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@shown("sh", run=True)
@pytest.mark.usefixtures("folder")
def test_commands_run(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    if block.needs:
        pytest.importorskip(block.needs)
    for words in shell_lines(block):
        assert words[0] == "limpid", f"{block}: only limpid can be run; mark the block as not run, and say why"
        code = main(words[1:])
        told = capsys.readouterr()
        assert code == 0, f"{block}: {' '.join(words)}\n{told.out}\n{told.err}"


@shown("sh", run=False)
def test_commands_that_are_not_run_can_be_parsed(block: Block, only_parsed: Callable[[list[str]], None]) -> None:
    for words in shell_lines(block):
        if words[0] == "limpid":
            only_parsed(words[1:])


@pytest.fixture
def only_parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Takes the words after ``limpid``; fails unless the parser of their command does so, too."""
    parse = Parser.parse_intermixed_args

    def stop(self: Parser, words: Any = None, namespace: Any = None) -> Any:
        options = parse(self, words, namespace)
        if self.prog in ("limpid upscale", "limpid watch", "limpid queue add"):
            Settings().replace(**given_settings(options))
        raise ParsedError

    monkeypatch.setattr(Parser, "parse_intermixed_args", stop)

    def check(words: list[str]) -> None:
        try:
            code = main(words)
        except ParsedError:
            return
        assert words in (["--help"], ["--version"]) and code == 0, f"limpid {' '.join(words)} ended with {code}"

    return check


def test_a_wrong_command_would_be_found(only_parsed: Callable[[list[str]], None]) -> None:
    only_parsed(["upscale", "film.mp4", "--scale", "2"])
    only_parsed(["--version"])
    for wrong in ("upscale film.mp4 --scael 2", "upscale film.mp4 --crf 99", "upscael film.mp4"):
        with pytest.raises(AssertionError):
            only_parsed(wrong.split())


def test_every_feature_has_an_answer_and_its_commands_can_be_parsed(only_parsed: Callable[[list[str]], None]) -> None:
    """The rows of docs/features.md; a yes says how."""
    text = (REPOSITORY / "docs" / "features.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| (yes|partly|no) \| ([^|]+) \|$", text, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 78))
    answers = Counter(answer for _, _, answer, _ in rows)
    assert f"{answers['yes']} yes, {answers['partly']} partly, {answers['no']} no." in text and answers["yes"] >= 60
    for _, _, _, how in rows:
        for command in re.findall(r"`(limpid [^`]+)`", how):
            only_parsed(shlex.split(command)[1:])


@shown("toml", run=True)
def test_toml_can_be_read(block: Block) -> None:
    assert tomllib.loads(block.text)


@shown("json", run=True)
def test_json_can_be_read(block: Block) -> None:
    assert json.loads(block.text)


def test_there_are_examples_of_every_kind() -> None:
    assert len([block for block in all_blocks("python") if block.page.name == "README.md"]) >= 1
    runs = [block for block in all_blocks("sh", "python") if not block.not_run]
    assert len(runs) >= 15 and {"README.md", "degradation.md"} <= {block.page.name for block in runs}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Files and headings; of addresses elsewhere the form only."""
    for target in links(page):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            form = parts.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc)
            assert form, f"{name_of(page)} links to {target}"
            continue
        file = (page.parent / parts.path) if parts.path else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        if parts.fragment:
            assert parts.fragment in anchors(file), f"{name_of(page)} links to {target}, which has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_modules_and_commands_exist(page: Path) -> None:
    """``src/limpid/methods.py``, ``limpid.plan.segments`` and ``limpid degrade`` in backticks are real."""
    text = page.read_text()
    for name in re.findall(r"`((?:src|tests|docs|examples|benchmarks|scripts)/[\w./-]+)`", text):
        assert (REPOSITORY / name).exists(), f"{page.name} names {name}"
    for name in re.findall(r"`(limpid(?:\.[a-z_]+)+)(?<!\.json)(?:\(\))?`", text):
        module, _, attribute = name.rpartition(".")
        found = find(name) or hasattr(importlib.import_module(module), attribute)
        assert found, f"{page.name} names {name}"
    for command in re.findall(r"`limpid ([a-z]+)[ `]", text):
        assert command in COMMANDS, f"{page.name} names limpid {command}"


def test_the_reference_is_what_the_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """``python scripts/make_reference.py`` writes it anew; so does this test with LIMPID_UPDATE=1."""
    monkeypatch.syspath_prepend(REPOSITORY / "scripts")
    script = importlib.import_module("make_reference")
    for name, text in script.pages().items():
        if os.environ.get("LIMPID_UPDATE") == "1":
            (script.FOLDER / name).write_text(text)
        assert (script.FOLDER / name).read_text() == text, f"{name} is old: python scripts/make_reference.py"
    assert {path.name for path in script.FOLDER.iterdir()} == set(script.pages())


def find(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
