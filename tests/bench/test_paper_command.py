"""``limpid bench paper``: the list, a table before and after it is run, killed and resumed, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.bench import run as running
from limpid.bench.rows import read_rows, read_run_card
from limpid.cli.bench_paper import aligned
from limpid.cli.main import main
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights

ROWS = ("none", "SAP", "TAP", "SAP, TAP, DSSAG", "SAP, TAP, SAG", "SAP, TAP, PAG")


def paper(*arguments: str) -> int:
    return main(["bench", "paper", *arguments])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    return convert_weights("dc-vsr", make_random_weights("dc-vsr", "tiny", root / "official"), root / "dc-vsr")


@pytest.fixture
def run_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Makes the command run with a stand-in for the processes that upscale."""
    real = running.run_bench

    def use(upscale: Any) -> None:
        monkeypatch.setattr(running, "run_bench", lambda plan, tell: real(plan, tell, upscale=upscale))

    return use


@pytest.fixture
def options(clips: Path, weights: Path, tmp_path: Path) -> list[str]:
    """Of a run of Table 2 on the three small clips."""
    where = ["--dataset", "folder", "--root", str(clips), "--out", str(tmp_path / "run")]
    return [*where, "--weights", str(weights), "--pipeline", "bicubic", "--metrics", "musiq,dover,psnr"]


def test_the_list_has_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert paper() == 0
    said = capsys.readouterr().out
    assert all(title in said for title in ("Upscale-A-Video", "MGLD-VSR", "DiffVSR", "DC-VSR"))
    assert "fig7   the strength of motion guidance, eta; 6 rows on videolq" in said
    assert paper("diffvsr") == 0
    assert "DC-VSR" not in capsys.readouterr().out


def test_a_table_says_what_it_takes_and_what_is_here(
    clips: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paper("dc-vsr", "2") == 0
    said = capsys.readouterr().out
    for text in (
        "licence: CC BY 4.0",
        "limpid weights convert dc-vsr",
        "cannot be had",
        "DOVER.pth",
        "n/a [1]",
        "67.51",
    ):
        assert text in said
    assert "run it\n  limpid bench paper dc-vsr 2 --dataset reds4 --root DIR --out RUN" in said
    where = ["--dataset", "folder", "--root", str(clips), "--weights", str(weights)]
    assert paper("dc-vsr", "table 2", *where, "--row", "SAP") == 0
    said = capsys.readouterr().out
    assert "other clips in its place: 3 clips in" in said and "SAP: can be run, about reds4 4.4 h on one A100" in said
    assert "TAP: left out" in said


@pytest.mark.parametrize("name", ["3", "fig6", "fig2", "fig10"])
def test_parts_without_rows_are_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert paper("dc-vsr", name) == 0
    assert capsys.readouterr().out.count("\n") >= 3


def test_a_table_is_run_killed_and_resumed(
    options: list[str],
    tmp_path: Path,
    fake: Callable[..., Any],
    run_with: Callable[[Any], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_with(fake(stops_after=7))
    assert paper("dc-vsr", "2", *options) == 130
    assert len(read_rows(tmp_path / "run")) == 7
    upscale = fake()
    run_with(upscale)
    assert paper("dc-vsr", "2", *options) == 0
    said = capsys.readouterr()
    assert len(upscale.calls) == 11 and "11 rows to do, 7 were done before" in said.err
    head, *lines = said.out[said.out.index("MUSIQ") :].splitlines()[:7]
    assert head.split("  ") == ["MUSIQ ↑", "paper", "DOVER_fused_x100 ↑", "paper", "seconds per frame ↓"]
    assert [line.split("  ")[0].strip() for line in lines] == list(ROWS)
    assert lines[3].split()[3:] == ["n/a", "[1]", "69.22", "n/a", "[2]", "70.41", "0.2500"]
    assert "[1] needs musiq_koniq" in said.out and "[2] needs DOVER.pth" in said.out
    assert "the paper's numbers are those of REDS4, ours of other clips" in said.out
    assert read_run_card(tmp_path / "run")["paper"] == ["dc-vsr", "2"]
    page, text = ((tmp_path / "run" / f"report.{kind}").read_text() for kind in ("html", "md"))
    for made in (page, text):
        assert "DC-VSR, Table 2" in made and "69.22" in made and "gave the same pixels on all 3 clips" in made


def test_metrics_are_the_tables_columns_and_the_usual_ones(
    options: list[str], tmp_path: Path, fake: Callable[..., Any], run_with: Callable[[Any], None]
) -> None:
    run_with(fake())
    at = options.index("--metrics")
    assert paper("dc-vsr", "2", *options[:at], "--row", "none", "--json") == 0
    card = read_run_card(tmp_path / "run")
    assert card["metrics"][:3] == ["musiq", "dover", "psnr"] and list(card["methods"]) == ["none"]


def test_rows_that_cannot_be_run_have_their_reason_in_the_table(
    options: list[str], tmp_path: Path, fake: Callable[..., Any], run_with: Callable[[Any], None]
) -> None:
    run_with(fake())
    assert paper("dc-vsr", "1", *options) == 0
    text = (tmp_path / "run" / "report.md").read_text()
    assert "a program of other people: github.com/xinntao/Real-ESRGAN (licence: BSD-3-Clause)" in text
    assert len(read_rows(tmp_path / "run")) == 6, "bicubic and DC-VSR on three clips"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["dc-vrs"], 2, "no paper"),
        (["dc-vsr", "7"], 2, "no table or figure '7'"),
        (["dc-vsr", "2", "--row", "SPA"], 2, "no row 'SPA'"),
        (["dc-vsr", "2", "--out", "x"], 2, "--out needs --root DIR"),
        (["dc-vsr", "1", "--root", ".", "--out", "x"], 2, "one of reds4 or udm10 or videolq or folder"),
        (["dc-vsr", "2", "--root", ".", "--out", "x"], 2, "no row of Table 2 can be run here"),
        (["dc-vsr", "3", "--root", ".", "--out", "x"], 2, "Table 3 is not a table of runs"),
        (["dc-vsr", "--out", "x"], 2, "--out needs a table"),
        (["dc-vsr", "2", "--set", "steps"], 2, "a whole number is needed"),
        (["dc-vsr", "--markdown"], 2, "leave the name out"),
    ],
)
def test_errors_are_one_sentence(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paper(*arguments) == code
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_columns_are_as_wide_as_they_need() -> None:
    assert aligned([("", "a"), ("long", "b")]) == ["      a", "long  b"]
