"""Reports: marks by direction, reasons, published numbers, nothing loaded from elsewhere, every text escaped."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from limpid.bench.report import markdown, spreadsheet, write_report
from limpid.bench.rows import Row, RowValue
from limpid.bench.run import Bench, run_bench
from limpid.bench.sections import make_section
from limpid.bench.tables import cell_text, make_table, number
from limpid.types import InputError

Make = Callable[..., Bench]
Fake = Callable[..., Any]


def row(clip: str, method: str, **values: float | None) -> Row:
    found = {
        k.replace("_", "-"): RowValue(value=v, reason=None if v is not None else "too small") for k, v in values.items()
    }
    return Row(clip=clip, method=method, frames=2, seconds=1.0, seconds_per_frame=0.5, peak_bytes=2**30, values=found)


def test_best_and_second_follow_the_direction_of_the_metric() -> None:
    rows = [row("a", "x", psnr=30.0, tof=2.0), row("a", "y", psnr=31.0, tof=1.0), row("a", "z", psnr=29.0, tof=3.0)]
    psnr, tof = make_table(rows, ["x", "y", "z"], ["psnr", "tof"]).quality
    assert [cell.mark for cell in psnr.cells] == ["second", "best", ""]
    assert [cell.mark for cell in tof.cells] == ["second", "best", ""]


def test_nobody_is_best_in_what_blur_wins() -> None:
    rows = [row("a", "blur", ewarp=0.1, we=1.0), row("a", "sharp", ewarp=0.2, we=2.0)]
    for line in make_table(rows, ["blur", "sharp"], ["ewarp", "we"]).quality:
        assert {cell.mark for cell in line.cells} == {""} and "blur" in line.note


def test_a_method_with_fewer_clips_is_not_ranked_and_says_so() -> None:
    rows = [row("a", "x", psnr=30.0), row("b", "x", psnr=20.0), row("a", "y", psnr=31.0), row("b", "y", psnr=None)]
    rows += [row("a", "z", psnr=21.0), row("b", "z", psnr=19.0)]
    (line,) = make_table(rows, ["x", "y", "z"], ["psnr"]).quality
    assert [cell.mark for cell in line.cells] == ["best", "", "second"]
    assert cell_text(line.cells[1]) == "31.00 (1 of 2 clips)" and line.partial == "too small"


def test_methods_with_numbers_for_other_clips_are_not_compared() -> None:
    rows = [row("a", "x", psnr=30.0), row("b", "y", psnr=31.0)]
    (line,) = make_table(rows, ["x", "y"], ["psnr"]).quality
    assert [cell.mark for cell in line.cells] == ["", ""]


def test_reasons_stand_where_numbers_are_missing() -> None:
    rows = [row("a", "x", psnr=None), Row(clip="a", method="y", error="out of memory")]
    table = make_table(rows, ["x", "y", "later"], ["psnr", "mos"])
    texts = [cell_text(cell) for cell in table.quality[0].cells]
    assert texts == ["n/a: too small", "n/a: failed: out of memory", "n/a: not run yet"]
    assert cell_text(table.quality[1].cells[0]) == "n/a: not measured"


@pytest.mark.parametrize(
    ("value", "text"), [(25.3211, "25.32"), (0.72, "0.7200"), (12345.0, "12345"), (0.00184, "0.001840")]
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text


class Links(HTMLParser):
    """Collects what a browser would load, and the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_the_page_is_self_contained_and_escaped(make_bench: Make, fake: Fake, clips: Path, tmp_path: Path) -> None:
    (clips / "car").rename(clips / "<script>alert(1)<!--")
    bench = make_bench(labels=("sharp", "<i>soft|"))
    run_bench(bench, lambda event: None, upscale=fake(fails={("boat", "sharp")}))
    page, text, table = write_report([bench.out], tmp_path / "report")
    links = Links()
    links.feed(page.read_text())
    assert not links.loads and not {"script", "link", "img", "iframe", "i"} & set(links.tags)
    assert "@import" not in page.read_text() and "url(" not in page.read_text()
    assert "&lt;script&gt;alert(1)" in page.read_text() and "the sky fell down &lt;b&gt;" in page.read_text()
    assert "<script>" not in text.read_text() and "soft\\|" in text.read_text()
    assert len(list(csv.DictReader(table.read_text().splitlines()))) == 2 * (3 + 3)


def test_published_numbers_stand_beside_with_their_warning(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    bench = make_bench()
    run_bench(bench, lambda event: None, upscale=fake())
    card = json.loads((bench.out / "run.json").read_text())
    (bench.out / "run.json").write_text(json.dumps({**card, "dataset": "mvsr4x"}))
    page, text, _ = write_report([bench.out])
    for said in (page.read_text(), text.read_text()):
        assert "DiffVSR, Table 1: MVSR4x" in said and "66.829" in said
        assert "do not compare" in said and "identical in all 8 columns" in said


def test_what_is_wrong_with_a_run_is_said(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    bench = make_bench(not_run={"upscale-a-video": "its weights are not here"})
    with pytest.raises(KeyboardInterrupt):
        run_bench(bench, lambda event: None, upscale=fake(stops_after=4))
    section = make_section(bench.out)
    assert "the run is not finished: 4 of 6 rows" in section.warnings
    assert any("its weights are not here" in warning for warning in section.warnings)
    assert "not finished" in markdown([section])
    with pytest.raises(InputError, match="no benchmark run here"):
        write_report([tmp_path / "nothing"])


def test_several_runs_make_one_report(make_bench: Make, fake: Fake, tmp_path: Path) -> None:
    benches = [make_bench(name) for name in ("one", "two")]
    for bench in benches:
        run_bench(bench, lambda event: None, upscale=fake())
    sections = [make_section(bench.out) for bench in benches]
    titles = {line["dataset"] for line in csv.DictReader(spreadsheet(sections).splitlines())}
    assert titles == {"a folder of clips (one)", "a folder of clips (two)"}


def test_what_a_metric_says_beside_its_number_is_kept_and_shown(tmp_path: Path) -> None:
    """The network whose flow it rests on, for instance; rows of before notes existed are read too."""
    from dataclasses import replace

    from limpid.bench.report import _remark_lines
    from limpid.bench.rows import append_row, read_rows

    said = {"tof-raft": RowValue(value=1.0, note="flow: RAFT (sha256 1234abcd)")}
    append_row(tmp_path, replace(row("a", "x"), values=said))
    old = json.loads((tmp_path / "rows.jsonl").read_text())
    old["method"], old["values"] = "y", {"tof-raft": [2.0, None]}
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write(json.dumps(old) + "\n")
    rows = read_rows(tmp_path)
    assert [r.values["tof-raft"].note for r in rows] == ["flow: RAFT (sha256 1234abcd)", ""]
    table = make_table(rows, ["x", "y"], ["tof-raft", "dover-spread"])
    assert table.quality[0].remarks == ("flow: RAFT (sha256 1234abcd)",) and not table.quality[1].ranked
    assert _remark_lines(table) == ["- tOF (DC-VSR, RAFT) (pixels): flow: RAFT (sha256 1234abcd)"]
