"""Words for events, and the bar on a terminal."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from limpid.cli import progress
from limpid.cli.words import clock_time, counts, sentence, shown, size_text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3675, "1:01:15")])
def test_times(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1.5e9, "1.5 GB"), (2e15, "2e+03 TB")])
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


def test_counts_say_what_is_known() -> None:
    assert counts({"done": 3, "total": None, "fps": None, "eta_s": None}) == "3 frames"
    assert counts({"done": 3, "total": 9, "fps": 1.5, "eta_s": 4}) == "3/9 frames, 1.5 frames/s, 0:04 left"


def test_counts_show_tenths_of_frames_only_where_whole_ones_would_stand_still() -> None:
    assert counts({"done": 3.4, "total": 9, "fps": 0.5}) == "3.4/9 frames, 0.5 frames/s"
    assert counts({"done": 3.4, "total": 9, "fps": 5.0}) == "3/9 frames, 5 frames/s"
    assert counts({"done": 0.25, "total": 9, "fps": None}) == "0.2/9 frames"


def test_an_estimate_says_what_is_left_of_a_run_that_goes_on() -> None:
    event = {"event": "estimate", "seconds": 600.0, "left_s": 150.0, "frames_per_s": 2.0, "calibrated": True}
    assert sentence(event | {"free_bytes": 1e9}) == (
        "about 2:30 for what is left, 10:00 for all, 2 frames/s (measured); needs up to 0 B of disk, 1 GB are free"
    )
    assert str(sentence(event | {"left_s": 600.0})).startswith("about 10:00, 2 frames/s")
    assert str(sentence({"event": "estimate", "seconds": None})).startswith("time not measured yet; needs")


def worker(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "node": "vm", "there": True, "frames": 9, "fps": 2.0, "idle": 0.05, **values}


def test_workers_are_summed_up_in_a_line() -> None:
    one, slow = worker("worker 1"), worker("worker 2", node="far", fps=1.5, idle=0.4)
    gone = worker("worker 3", there=False, fps=0.1)
    assert sentence({"event": "workers", "workers": [one]}) == "  1 worker, 2 frames/s, without work 5% of the time"
    assert sentence({"event": "workers", "workers": [one, slow, gone]}) == (
        "  2 workers, 1.5 to 2 frames/s each, without work 5% to 40% of the time (most on far, worker 2)"
    )
    assert sentence({"event": "workers", "workers": []}) is None
    assert sentence({"event": "workers", "workers": [worker("worker 1", fps=None, idle=None)]}) is not None


def test_what_a_run_spent_on_workers_is_said_where_it_is_something() -> None:
    names = ("decode", "network", "finish", "encode", "wait_for_frames", "wait_for_encoder", "outside_network")
    event = {"event": "times", **dict.fromkeys(names, 0.5)}
    assert "segments" not in str(sentence({**event, "transfer": 0.0, "commit": 0.01, "idle": 0.0}))
    said = str(sentence({**event, "transfer": 1.0, "commit": 2.0, "idle": 3.0}))
    assert said.endswith("sending frames 1.0 s, keeping segments 2.0 s, workers without work 3.0 s")


def test_paths_are_shown_on_one_line() -> None:
    assert shown("a\tb\r\nc") == "a\\tb\\r\\nc"
    assert shown("caf\u00e9 \u6620\u753b.mp4") == "caf\u00e9 \u6620\u753b.mp4"
    assert shown("bad\udcff") == "bad\\udcff"


def test_who_waits_for_workers_is_told_for_how_long() -> None:
    event = {"event": "waiting", "workers": 4, "s": 25, "most_s": 600}
    assert sentence(event) == "  waiting for the first of 4 workers: 25 s of 600 s"


def test_events_without_words_are_silent() -> None:
    assert sentence({"event": "segment", "index": 0}) is None
    assert sentence({"event": "something new"}) is None


def events() -> list[dict[str, Any]]:
    return [
        {"event": "stage", "stage": "scan"},
        {"event": "progress", "stage": "scan", "done": 10, "total": None, "fps": None, "eta_s": None},
        {"event": "stage", "stage": "run"},
        {"event": "warning", "message": "file [bold]name[/bold] is odd"},
        {"event": "progress", "stage": "run", "done": 10, "total": 40, "fps": 6.25, "eta_s": 4.8},
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_stage_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    reporter = progress.make_reporter(as_json=False, quiet=False)
    assert isinstance(reporter, progress.BarReporter)
    for event in events():
        reporter(event)
    reporter.progress.refresh()
    reporter.close()
    text = terminal.getvalue()
    for words in ("restoring", "10/40 frames, 6.25 frames/s, 0:05 left", "file [bold]name[/bold] is odd"):
        assert words in text
    assert text.endswith("\x1b[2K") or "\x1b[?25h" in text, "the cursor is shown again"


def test_lines_where_there_is_no_terminal() -> None:
    assert isinstance(progress.make_reporter(as_json=False, quiet=False), progress.LineReporter)
    assert isinstance(progress.make_reporter(as_json=True, quiet=True), progress.JsonReporter)
    assert isinstance(progress.make_reporter(as_json=False, quiet=True), progress.QuietReporter)


def test_lines_show_progress_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    reporter = progress.LineReporter(clock=lambda: now)
    for second in range(12):
        now = float(second)
        reporter({"event": "progress", "stage": "run", "done": second, "total": None, "fps": None, "eta_s": None})
    assert capsys.readouterr().err.split("\n") == ["  0 frames", "  5 frames", "  10 frames", ""]
