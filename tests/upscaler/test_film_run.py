"""Films in ``async`` programs: events while they are restored, cancelling, and going on."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import ConvPrior, local_method

import limpid
from limpid.methods import METHODS
from limpid.types import InputError, Interrupted, SettingsError
from limpid.upscaler.film_run import MOST_WAITING_EVENTS, FilmRun


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local method that takes no time."""
    monkeypatch.setitem(
        METHODS, "fast", lambda: local_method(name="fast", options=frozenset({"seed", "tile_px", "steps"}))
    )


def upscaler() -> limpid.Upscaler:
    return limpid.Upscaler(method="fast", segment_frames=4)


def begun(output: Path) -> bool:
    """Whether something waits for being gone on with."""
    return any(path.name.startswith(".") for path in output.parent.iterdir())


def test_events_come_while_the_film_is_restored(clip: Path, tmp_path: Path) -> None:
    async def main() -> tuple[list[dict[str, Any]], limpid.Report]:
        run = upscaler().film_async(clip, tmp_path / "out.mp4")
        events = [event async for event in run]
        return events, await run

    events, report = asyncio.run(main())
    kinds = [event["event"] for event in events]
    assert kinds[0] == "stage" and kinds[-1] == "done" and kinds.count("segment") >= 2
    assert any(event["event"] == "progress" and event["stage"] == "run" for event in events)
    assert report.frames == 40 and (tmp_path / "out.mp4").exists()


def test_a_run_can_just_be_awaited_and_two_take_turns(clip: Path, tmp_path: Path) -> None:
    async def main() -> list[limpid.Report]:
        shared = upscaler()
        return await asyncio.gather(*(shared.film_async(clip, tmp_path / f"{n}.mp4") for n in range(2)))

    assert [report.frames for report in asyncio.run(main())] == [40, 40]
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "1.mp4").read_bytes()


def test_what_a_run_raises_reaches_whoever_waits(tmp_path: Path) -> None:
    async def iterated() -> None:
        async for _ in upscaler().film_async(tmp_path / "none.mp4"):
            pass

    async def awaited() -> None:
        await upscaler().film_async(tmp_path / "none.mp4")

    for main in (iterated, awaited):
        with pytest.raises(InputError, match=r"none\.mp4"):
            asyncio.run(main())


def test_a_run_has_its_own_events_and_stop(clip: Path) -> None:
    with pytest.raises(SettingsError, match="on_event"):
        upscaler().film_async(clip, on_event=print)


async def _cancelled(clip: Path, output: Path) -> None:
    """Cancels the task that iterates, once a segment is durable."""
    durable = asyncio.Event()

    async def watch() -> None:
        async for event in upscaler().film_async(clip, output):
            if event["event"] == "segment":
                durable.set()

    task = asyncio.create_task(watch())
    await durable.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _left(clip: Path, output: Path) -> None:
    """Leaves the loop early."""
    run = upscaler().film_async(clip, output)
    async for event in run:
        if event["event"] == "segment":
            break
    with pytest.raises(Interrupted, match="same command goes on"):
        await run


async def _stopped(clip: Path, output: Path) -> None:
    run = upscaler().film_async(clip, output)
    with pytest.raises(Interrupted):
        async for event in run:
            if event["event"] == "segment":
                run.stop()
    assert run.done()


@pytest.mark.parametrize("stop", [_cancelled, _left, _stopped])
def test_a_stopped_run_is_gone_on_with_and_gives_the_same_bytes(stop: Any, clip: Path, tmp_path: Path) -> None:
    output, whole, before = tmp_path / "out.mp4", tmp_path / "whole.mp4", threading.active_count()
    upscaler().film(clip, whole)
    asyncio.run(stop(clip, output))
    assert threading.active_count() <= before, "the run goes on in the background"
    assert not output.exists() and begun(output)
    report = upscaler().film(clip, output)
    assert report.resumed_segments >= 1
    assert output.read_bytes() == whole.read_bytes()


def test_a_run_that_is_forgotten_stops(clip: Path, tmp_path: Path) -> None:
    async def main() -> None:
        run = upscaler().film_async(clip, tmp_path / "out.mp4")
        await anext(aiter(run))
        del run
        gc.collect()

    before = threading.active_count()
    asyncio.run(main())  # its end waits for the thread
    assert threading.active_count() <= before and not (tmp_path / "out.mp4").exists()


def test_a_run_stops_within_a_chunk(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at at every step of the computation, not only between chunks."""
    stop, steps = threading.Event(), 0

    class Prior(ConvPrior):
        def denoise(self, *arguments: Any) -> Any:
            nonlocal steps
            steps += 1
            stop.set()
            return super().denoise(*arguments)

    monkeypatch.setitem(METHODS, "slow", lambda: replace(local_method(name="slow", steps=50), load=lambda _: Prior()))
    with pytest.raises(Interrupted):
        limpid.Upscaler(method="slow").film(clip, tmp_path / "out.mp4", stop=stop, calibrate=False)
    assert steps == 1


def test_events_that_nobody_takes_are_not_kept_without_end() -> None:
    async def main() -> list[dict[str, Any]]:
        def work(tell: Any, stop: threading.Event) -> Any:
            for n in range(3 * MOST_WAITING_EVENTS):
                tell({"event": "note", "n": n})

        run = FilmRun(work)
        await run
        return [event async for event in run]

    left = asyncio.run(main())
    assert len(left) == MOST_WAITING_EVENTS and left[-1]["n"] == 3 * MOST_WAITING_EVENTS - 1
