"""``limpid weights`` as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.checkpoints.folders import Card, folder_facts, write_card
from limpid.checkpoints.manifest import ENTRIES, Entry, File
from limpid.cli.weights import ACTIONS, DownloadLines

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "weights"
    monkeypatch.setenv("LIMPID_WEIGHTS", str(root))
    return root


def converted(folder: Path, name: str = "raft-large") -> Path:
    folder.mkdir(parents=True)
    (folder / "x.txt").write_text("x")
    write_card(folder, Card(name=name, version="0", files=folder_facts(folder), random=True))
    return folder


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_a_help(cli: Cli, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    ran = cli("weights", action, "--help")
    assert ran.code == 0 and f"limpid weights {action}" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100


@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"], ["list"]], ids=" ".join)
def test_it_answers_without_loading_anything_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom limpid.cli.main import main\n"
        f"code = main({['weights', *arguments]!r})\n"
        "sys.exit(code or ','.join({'torch', 'numpy', 'transformers', 'diffusers'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["--json", "list"], ["fetch"], ["fetch", "nothing"]])
def test_wrong_words(cli: Cli, arguments: list[str]) -> None:
    ran = cli("weights", *arguments)
    assert ran.code == 2 and ran.err.count("\n") == 1


def test_the_list(cli: Cli, weights: Path) -> None:
    converted(weights / "raft-large")
    text = cli("weights", "list").out
    for entry in ENTRIES.values():
        assert entry.name in text and entry.licence in text and entry.page in text
    assert "random numbers" in text and "size unknown" in text
    rows = json.loads(cli("weights", "list", "--json").out)
    assert rows["raft-large"]["random"] is True and rows["diffvsr"]["folder"] is None
    assert rows["diffvsr"]["files"][0]["size"] is None


def test_fetching(cli: Cli, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").write_bytes(b"x" * 2000)
    file = File(name="w.pt", role="denoiser", url=(tmp_path / "there").as_uri())
    entry = Entry(name="x", title="x", page="x", licence="for all", files=(file,), needs=("diffvsr",))
    monkeypatch.setitem(ENTRIES, "x", entry)
    ran = cli("weights", "fetch", "x")
    assert ran.code == 0 and ran.out.strip() == str(weights / "downloads" / "x")
    assert (weights / "downloads" / "x" / "w.pt").stat().st_size == 2000
    assert "licence: for all" in ran.err and "2 kB of 2 kB, 100 %" in ran.err and "fetch diffvsr" in ran.err
    assert cli("weights", "fetch", "x", "--to", tmp_path / "to").out.strip() == str(tmp_path / "to")


def test_what_cannot_be_fetched_is_code_6(cli: Cli) -> None:
    ran = cli("weights", "fetch", "upscale-a-video")
    assert ran.code == 6 and "drive.google.com" in ran.err


def test_progress_is_not_said_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = DownloadLines(clock=lambda: now)
    for done in range(1, 11):
        now += 1
        progress("w.pt", done, None if done < 4 else 10)
    assert capsys.readouterr().err.splitlines() == [
        "  w.pt: 1 B",
        "  w.pt: 6 B of 10 B, 60 %",
        "  w.pt: 10 B of 10 B, 100 %",
    ]


def test_random_weights_converted_and_verified(cli: Cli, tmp_path: Path, weights: Path) -> None:
    made = cli("weights", "make-random", "sd-x4-upscaler", "--out", tmp_path / "made")
    assert made.code == 0 and made.out.strip() == str(tmp_path / "made")
    ran = cli("weights", "convert", "sd-x4-upscaler", tmp_path / "made", "--dtype", "float16")
    assert ran.code == 0 and ran.out.strip() == str(weights / "sd-x4-upscaler")
    assert cli("weights", "convert", "sd-x4-upscaler", tmp_path / "made").code == 6
    assert cli("weights", "convert", "sd-x4-upscaler", tmp_path / "made", "--overwrite").code == 0
    assert cli("weights", "verify").out == f"{weights / 'sd-x4-upscaler'}: whole\n"
    (weights / "sd-x4-upscaler" / "vae" / "config.json").write_text("{}")
    ran = cli("weights", "verify", "sd-x4-upscaler", "--json")
    assert ran.code == 1 and "vae/config.json has changed" in json.loads(ran.out)[str(weights / "sd-x4-upscaler")]


def test_notes_and_refusals_of_convert(cli: Cli, tmp_path: Path) -> None:
    assert "does not exist" in cli("weights", "convert", "diffvsr").err
    cli("weights", "make-random", "sd-x4-upscaler", "--out", tmp_path / "made", "--seed", "3")
    (tmp_path / "made" / "scheduler" / "scheduler_config.json").unlink()
    ran = cli("weights", "convert", "sd-x4-upscaler", tmp_path / "made", "--out", tmp_path / "out")
    assert ran.code == 0 and ran.err.startswith("note: scheduler/scheduler_config.json is not there")
    assert cli("weights", "verify", tmp_path / "made").code == 6
    assert cli("weights", "verify", tmp_path / "out").code == 0


def test_to_verify_nothing_is_no_success(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path))
    ran = cli("weights", "verify")
    assert ran.code == 6 and "nothing to verify" in ran.err
