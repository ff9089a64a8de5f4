"""``limpid bench``: from the command line to the report, errors in one sentence, light help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.bench import run as running
from limpid.cli.main import main


def bench(*arguments: str) -> int:
    return main(["bench", *arguments])


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, fake: Callable[..., Any]) -> Callable[..., Any]:
    """Runs of the command use the fake."""
    upscale = fake(fails={("car", "lanczos")})
    real = running.run_bench
    monkeypatch.setattr(running, "run_bench", lambda plan, tell: real(plan, tell, upscale=upscale))
    return upscale


@pytest.mark.usefixtures("faked")
def test_run_then_report(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    options = ["--dataset", "folder", "--root", str(clips), "--out", out, "--metrics", "psnr", "--pipeline", "bicubic"]
    assert bench("run", *options, "--methods", "bicubic,lanczos") == 1, "a row failed"
    said = capsys.readouterr()
    assert said.out.strip() == out
    assert "[6/6] tree, lanczos: psnr" in said.err and "car, lanczos: failed: the sky fell down" in said.err
    assert bench("run", *options, "--methods", "bicubic,lanczos", "--json") == 1
    assert json.loads(capsys.readouterr().out)["resumed"] == 6
    assert bench("report", out) == 0
    assert [Path(line).name for line in capsys.readouterr().out.split()] == ["report.html", "report.md", "report.csv"]


@pytest.mark.usefixtures("faked")
def test_rows_as_json(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--dataset", "folder", "--root", str(clips), "--out", str(tmp_path / "run"), "--pipeline", "bicubic"]
    assert bench("run", *options, "--metrics", "psnr", "--methods", "bicubic", "--json", "--frames", "2") == 0
    first, *rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first["rows"] == 3 and [row["row"]["clip"] for row in rows] == ["boat", "car", "tree"]
    assert rows[0]["row"]["values"]["psnr"][0] > 10


@pytest.mark.usefixtures("faked")
def test_ablation_runs_what_is_installed(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--dataset", "folder", "--root", str(clips), "--out", str(tmp_path / "run"), "--pipeline", "bicubic"]
    assert bench("ablation", *options, "--metrics", "psnr", "--methods", "tiny,diffvsr") == 0
    said = capsys.readouterr().err
    assert "diffvsr: noise: n/a:" in said and "6 rows to do" in said
    assert bench("report", str(tmp_path / "run")) == 0
    assert "diffvsr: noise could not be run here" in (tmp_path / "run" / "report.md").read_text()


def test_data_sets_are_listed_and_checked(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("datasets") == 0
    assert "realvideo10: RealVideo10 (DiffVSR) was never released" in capsys.readouterr().out
    assert bench("datasets", "--dataset", "folder", "--root", str(clips)) == 0
    (clips / "car" / "00000001.png").unlink()
    assert bench("datasets", "--dataset", "folder", "--root", str(clips)) == 1
    assert "frames are missing: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "--dataset", "udm11", "--root", ".", "--out", "x", "--methods", "bicubic"], 2, "no data set"),
        (["run", "--dataset", "aigc30", "--root", ".", "--out", "x", "--methods", "bicubic"], 2, "never released"),
        (["run", "--dataset", "udm10", "--root", "nowhere", "--out", "x", "--methods", "bicubic"], 3, "no such folder"),
        (["run", "--dataset", "udm10", "--root", ".", "--out", "x"], 2, "--methods is missing"),
        (["run", "--dataset", "udm10", "--root", ".", "--out", "x", "--methods", "diffvsr"], 6, "weights"),
        (
            ["run", "--dataset", "folder", "--root", ".", "--out", "x", "--methods", "bicubic", "--frames", "0"],
            2,
            "--frames 0",
        ),
        (["report", "nowhere"], 3, "no benchmark run"),
        (["datasets", "--root", "."], 2, "go together"),
        (["rnu"], 2, "rnu"),
    ],
)
def test_errors_are_one_sentence(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*arguments) == code
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


@pytest.mark.parametrize("action", [[], ["run"], ["ablation"], ["report"], ["datasets"]])
def test_help_loads_nothing_heavy_and_is_documented(action: list[str], repository: Path) -> None:
    code = (
        "import sys\nfrom limpid.cli.main import main\n"
        f"main(['bench', *{action!r}, '--help'])\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'av', 'cv2')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "limpid bench" in done.stdout
    text = (repository / "docs" / "benchmarks.md").read_text() + (repository / "docs" / "cli.md").read_text()
    assert not {word.strip(",;") for word in done.stdout.split() if word.startswith("--")} - set(
        text.replace("`", " ").split()
    )
