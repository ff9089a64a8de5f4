"""The page in a real browser, without a network: it loads, plays, steps and wipes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import browser
import pytest

from limpid.bench.compare import Wishes, compare_videos


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"limpid_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


comparing: Any = load("comparing")
PROGRAM = browser.find_browser()

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium here (Debian: apt-get install chromium)")

COLOUR = """(() => {
  const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const screen = document.getElementById('screen'), zoom = screen.width / 160;
  copy.drawImage(screen, %d * zoom, %d * zoom, 1, 1, 0, 0, 1, 1);
  return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3);
})()"""
BOX = """(() => {
  const b = document.getElementById('screen').getBoundingClientRect();
  return [b.x, b.y, b.width, b.height];
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("browser")
    paths = {name: str(path) for name, path in comparing.clips(folder).items()}
    files = [paths["truth"], paths["faulty"]]
    out = compare_videos(files, folder / "a page & more.html", lr=paths["small"], wishes=Wishes(num_crops=1))
    assert PROGRAM is not None
    with browser.Browser(PROGRAM, folder / "profile") as window:
        window.open(out.as_uri())
        window.wait_for("document.documentElement?.dataset.ready === 'yes'")
        yield window


def frame(page: Any) -> int:
    return int(page.value("document.getElementById('seek').value"))


def go_to(page: Any, number: int) -> None:
    page.value(f"(() => {{ const s = document.getElementById('seek'); s.value = {number}; s.oninput(); }})()")
    page.wait_for(f"document.getElementById('now').value.startsWith('frame {number} ') && !film.seeking")


def test_it_loads_without_a_complaint_and_asks_for_nothing(page: Any) -> None:
    assert page.value("film.readyState") >= 2 and page.value("film.videoWidth") >= 160
    assert page.value("document.getElementById('trouble').hidden")
    assert page.complaints() == []
    assert page.addresses() <= {"file", "data", "blob"}


def test_keys_step_single_frames(page: Any) -> None:
    go_to(page, 3)
    for key, expected in ((".", 4), ("ArrowRight", 5), (",", 4), ("End", 9), ("Home", 0)):
        page.press(key)
        page.wait_for(f"document.getElementById('now').value.startsWith('frame {expected} ')")
    assert frame(page) == 0


def test_the_frame_on_the_screen_is_the_frame_that_is_named(page: Any) -> None:
    """Only frame 6 of the right source has the white rectangle."""
    page.value("(() => { const w = document.getElementById('wipe'); w.value = 100; w.oninput(); })()")
    for number in (5, 6, 7):
        go_to(page, number)
        white = min(page.value(COLOUR % (116, 52))) > 235
        assert white == (number == comparing.FAULT_FRAME), number


def test_the_wipe_divides_the_sources(page: Any) -> None:
    go_to(page, comparing.FAULT_FRAME)
    right = page.value(COLOUR % (116, 52))
    page.value("(() => { const w = document.getElementById('wipe'); w.value = 1000; w.oninput(); })()")
    left = page.value(COLOUR % (116, 52))
    assert min(right) > 235 and min(left) < 235
    page.press("[")
    assert page.value("document.getElementById('wipe').value") == "975"
    assert page.value("document.getElementById('edge').style.left") == "97.5%"


def test_dragging_moves_the_wipe(page: Any) -> None:
    page.value("document.getElementById('stage').scrollIntoView({block: 'center'})")
    box = page.value(BOX)
    at = {"x": box[0] + box[2] * 0.25, "y": box[1] + box[3] / 2}
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)
    assert abs(int(page.value("document.getElementById('wipe').value")) - 250) <= 10


def test_keys_zoom_and_dragging_moves_what_is_zoomed(page: Any) -> None:
    """The white rectangle of frame 6 is at 96..136, 32..72 of 160x96; zoomed 4 times at it, it fills the middle."""
    go_to(page, comparing.FAULT_FRAME)
    page.value("(() => { const w = document.getElementById('wipe'); w.value = 0; w.oninput(); })()")
    box = page.value(BOX)
    at = {"x": box[0] + box[2] * 116 / 160, "y": box[1] + box[3] * 52 / 96}
    page.call("Input.dispatchMouseEvent", type="mouseWheel", deltaX=0, deltaY=-554.5, modifiers=2, **at)
    page.wait_for("document.getElementById('zoom').value === '4×'")
    assert min(page.value(COLOUR % (116, 52))) > 235 and min(page.value(COLOUR % (150, 80))) > 235
    page.call("Input.dispatchMouseEvent", type="mousePressed", button="left", buttons=1, clickCount=1, **at)
    page.call("Input.dispatchMouseEvent", type="mouseMoved", button="left", buttons=1, x=box[0] + 40, y=at["y"])
    page.call("Input.dispatchMouseEvent", type="mouseReleased", button="left", x=box[0] + 40, y=at["y"])
    assert min(page.value(COLOUR % (116, 52))) < 235
    page.press("0")
    assert page.value("document.getElementById('zoom').value") == "1×"
    assert min(page.value(COLOUR % (116, 52))) > 235


def test_sources_views_and_parts_can_be_chosen(page: Any) -> None:
    page.value("document.activeElement.blur()")
    page.press("3", "Digit3")
    assert page.value("document.getElementById('name-left').textContent") == "input"
    for mode in ("all", "difference", "wipe"):
        page.value(f"(() => {{ const m = document.getElementById('mode'); m.value = '{mode}'; m.onchange(); }})()")
        assert page.value("document.getElementById('stage').className") == mode
    page.value("document.querySelector('[data-crop]').click()")
    page.wait_for(f"document.getElementById('now').value.startsWith('frame {comparing.FAULT_FRAME} ')")
    assert page.value("document.getElementById('part').value") == "0"


def test_it_plays_and_pauses(page: Any) -> None:
    go_to(page, 0)
    page.press(" ")
    page.wait_for("!film.paused && film.currentTime > 0.1")
    page.wait_for("Number(document.getElementById('seek').value) > 0")
    page.press(" ")
    page.wait_for("film.paused && document.getElementById('play').textContent === 'Play'")
    assert page.complaints() == []
