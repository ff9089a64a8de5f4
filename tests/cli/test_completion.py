"""Completion scripts, asked by the shells that are here, and the manual page, read by the programs that are here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.cli.choices import METHOD_NAMES
from limpid.cli.completion import SHELLS
from limpid.cli.main import COMMANDS
from limpid.cli.tree import command_tree

Cli = Callable[..., Any]

CASES = [
    ("limpid ups", {"upscale"}),
    ("limpid upscale --method d", {"dc-vsr", "diffvsr"}),
    ("limpid upscale --sampler ", {"ddpm", "ddim", "dpm++"}),
    ("limpid upscale fil", {"film.mp4"}),
    ("limpid upscale --from fil", {"film.mp4"}),
    ("limpid upscale --preset-look old", {"old-tape"}),
    ("limpid weights fetch spy", {"spynet"}),
    ("limpid weights conv", {"convert"}),
    ("limpid train --recipe mgld-vsr/u", {"mgld-vsr/unet"}),
    ("limpid presets save mine --dei", {"--deinterlace"}),
    ("limpid queue --no-comp", {"--no-compile"}),
]
BASH = """source "$1"; COMP_WORDS=($2); [ "${2% }" = "$2" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _shtab_limpid; printf '%s\\n' "${COMPREPLY[@]}" """
FISH = 'source $argv[1]; complete -C "$argv[2]"'


def script(cli: Cli, shell: str, folder: Path) -> Path:
    path = folder / shell
    path.write_text(cli("completion", shell).out)
    return path


def answers(command: list[str], folder: Path) -> set[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return {line.split("\t")[0].strip() for line in done.stdout.splitlines()} - {""}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes(cli: Cli, tmp_path: Path) -> None:
    path = script(cli, "bash", tmp_path)
    (tmp_path / "film.mp4").touch()
    for typed, wanted in CASES:
        assert answers(["bash", "--norc", "-c", BASH, "bash", str(path), typed], tmp_path) == wanted, typed


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes(cli: Cli, tmp_path: Path) -> None:
    path = script(cli, "fish", tmp_path)
    (tmp_path / "film.mp4").touch()
    for typed, wanted in CASES:
        assert answers(["fish", "--no-config", "-c", FISH, str(path), typed], tmp_path) == wanted, typed


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_can_read_its_script(cli: Cli, tmp_path: Path) -> None:
    assert answers(["zsh", "-f", "-n", str(script(cli, "zsh", tmp_path))], tmp_path) == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_has_every_command_and_method(cli: Cli, shell: str) -> None:
    ran = cli("completion", shell)
    assert ran.code == 0 and not ran.err
    assert all(word in ran.out for word in (*COMMANDS, *METHOD_NAMES))


def test_a_shell_that_is_not_known_is_refused(cli: Cli) -> None:
    ran = cli("completion", "bsh")
    assert ran.code == 2 and "did you mean bash?" in ran.err


def test_the_methods_that_are_completed_are_those_there_are() -> None:
    from limpid.methods import METHODS

    assert tuple(METHODS) == METHOD_NAMES


def test_every_action_of_a_command_has_its_parser() -> None:
    from limpid.cli import bench, train, weights

    for module in (bench, train, weights):
        assert list(module.ACTIONS) == list(module.PARSERS)
    for node in (each for top in command_tree() for each in top.actions):
        assert node.parser.prog.endswith(f" {node.word}")


@pytest.mark.parametrize("words", [["completion", "bash"], ["man"]], ids=" ".join)
def test_neither_loads_pytorch(words: list[str], repository: Path) -> None:
    code = f"import sys; from limpid.cli.main import main; main({words}); sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0


# ------------------------------------------------------------------------------------------ the manual page


def test_the_manual_page_has_every_option_of_the_help(cli: Cli) -> None:
    page = cli("man").out.replace(r"\-", "-")
    for node in (each for top in command_tree() for each in top.all()):
        help_text = node.parser.format_help()
        assert not [flag for flag in re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help_text, re.M) if flag not in page]


@pytest.mark.parametrize(
    "reader",
    [
        ["groff", "-man", "-ww", "-Tutf8"],
        ["mandoc", "-Tlint", "-Wwarning"],
    ],
    ids=lambda reader: reader[0],
)
def test_the_manual_page_is_sound_roff(cli: Cli, reader: list[str], tmp_path: Path) -> None:
    if shutil.which(reader[0]) is None:
        pytest.skip(f"there is no {reader[0]} here")
    (tmp_path / "limpid.1").write_text(cli("man").out)
    command = [*reader, str(tmp_path / "limpid.1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = done.stderr if reader[0] == "groff" else done.stdout
    assert not [line for line in said.splitlines() if "missing date" not in line], "a date would change without cause"


def test_lines_that_roff_would_take_for_requests_stay_text() -> None:
    from limpid.cli.man import _text

    assert _text(".mp4 isn't a\\b-c") == r"\&.mp4 isn\(aqt a\eb\-c"
