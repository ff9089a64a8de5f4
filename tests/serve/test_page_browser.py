"""The page in a real browser, with the real engine: everything that a person does, and a server that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import media
import pytest
from page_server import PageServer

PROGRAM = browser.find_browser()

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no chromium here (Debian: apt-get install chromium)"),
    pytest.mark.slow,
]

HOSTILE = "<img src=x onerror=document.title=1>.mp4"
VIEWS = ("#/", "#/new", "#/history", "#/watch")
FRAMES = 150


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    made = PageServer(tmp_path_factory.mktemp("page"))
    (made.films / HOSTILE).write_bytes(b"no video")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def page(server: PageServer, tmp_path: Path) -> Iterator[Any]:
    assert PROGRAM is not None
    with browser.Browser(PROGRAM, tmp_path / "profile") as window:
        window.open(server.address)
        window.wait_for("document.documentElement?.dataset.ready === 'yes'")
        yield window


def size(page: Any, width: int, height: int) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)


def go(page: Any, view: str) -> None:
    page.value(f"location.hash = '{view}'")
    page.wait_for("document.querySelector('main h1')")


def choose(page: Any, selector: str, value: str) -> None:
    page.value(
        f"(() => {{ const e = document.querySelector('{selector}'); e.value = '{value}';"
        "e.dispatchEvent(new Event('change')); })()"
    )


def test_views_load_without_a_complaint_fit_a_phone_and_ask_nobody_else(page: Any, server: PageServer) -> None:
    for width in (1440, 390):
        size(page, width, 844)
        for view in VIEWS:
            go(page, view)
            wide = page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, (view, width)
            names = "[...document.querySelectorAll('button, a, input, select')].filter((e) => !e.textContent.trim()"
            nameless = f"{names} && !e.labels?.length && !e.ariaLabel && !e.ariaHidden && !e.title).length"
            assert page.value(nameless) == 0, view
    assert page.complaints() == []
    asked = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert asked and all(url.startswith(server.address) for url in asked)


def test_names_of_files_are_text(page: Any) -> None:
    go(page, "#/new")
    page.value("document.querySelector('.drop-zone button').click()")
    page.wait_for("document.querySelector('dialog .file')")
    page.value("document.querySelector('dialog .file').click()")
    page.wait_for(f"[...document.querySelectorAll('dialog .name')].some((e) => e.textContent === '{HOSTILE}')")
    assert page.value("document.querySelector('dialog img')") is None
    assert page.value("document.title") == "Add videos · Limpid"
    page.press("Escape")
    page.wait_for("!document.querySelector('dialog')")


def test_a_result_that_exists_is_replaced_only_when_somebody_says_so(page: Any, server: PageServer) -> None:
    clip = media.make_video(server.films / "twice.mp4", frames=4)
    (server.films / "twice_x4.mp4").write_bytes(clip.read_bytes())
    go(page, "#/new")
    page.value("document.querySelector('.drop-zone button').click()")
    page.wait_for("document.querySelector('dialog .file')")
    page.value("document.querySelector('dialog .file').click()")
    page.wait_for("[...document.querySelectorAll('dialog .name')].some((e) => e.textContent === 'twice.mp4')")
    page.value(
        "[...document.querySelectorAll('dialog .name')].find((e) => e.textContent === 'twice.mp4')"
        ".closest('label').querySelector('input').click()"
    )
    page.value("document.querySelector('dialog .primary').click()")
    page.wait_for("document.querySelector('.summary .error-box').textContent.includes('twice_x4.mp4 exists')")
    assert not page.value("document.querySelector('.preview-bar button').disabled")
    page.value("document.querySelector('.summary .error-box + button').click()")
    page.wait_for("document.querySelector('.summary code').textContent.includes('--overwrite')")
    assert page.value("document.querySelector('.summary .error-box').hidden")


def test_settings_that_exclude_each_other_are_refused_before_queueing(page: Any, server: PageServer) -> None:
    clip = media.make_video(server.films / "small.mp4", frames=4)
    go(page, "#/new")
    browser.drop(page, clip)
    page.wait_for("document.querySelector('.summary code').textContent.includes('small')")
    choose(page, "#set-codec", "ffv1")
    choose(page, "#set-crf", "20")
    hint = page.value("document.querySelector('[data-name=crf] .hint').textContent")
    assert hint == "Needs codec h264, h265 or av1."
    choose(page, "#set-method", "tiny")
    choose(page, "#set-motion_guidance", "5")
    page.wait_for("!document.querySelector('.summary .error-box').hidden")
    assert "motion" in page.value("document.querySelector('.summary .error-box').textContent")
    assert page.value("document.querySelector('.summary .block').disabled")
    page.value("document.querySelector('[data-name=motion_guidance] .reset').click()")
    page.wait_for("document.querySelector('.summary .error-box').hidden")
    page.wait_for("!document.querySelector('.summary .block').disabled")


def test_a_clip_is_dropped_tried_queued_and_finished_although_the_server_is_killed(
    page: Any, server: PageServer, tmp_path: Path
) -> None:
    page.timeout_s = 120
    clip = media.make_video(tmp_path / "walk.mp4", frames=FRAMES)
    browser.drop(page, clip)
    page.wait_for("document.querySelector('.inputs li .quiet')?.textContent.includes('uploaded')")
    page.wait_for("document.querySelector('.summary code').textContent.includes('walk')")
    choose(page, "#set-size", "scale 2")
    page.wait_for("document.querySelector('.summary code').textContent.includes('--scale=2')")
    page.wait_for("document.querySelector('.facts dd').textContent === '64 × 48'")

    choose(page, ".preview-bar select", "0")
    page.value("document.querySelector('.preview-bar button').click()")
    page.wait_for("document.querySelector('dialog .player')?.dataset.ready === 'yes'")
    assert page.value("document.querySelector('dialog canvas').width") >= 128
    page.press("Escape")

    page.value("document.querySelector('.summary .block').click()")
    page.wait_for("document.querySelector('.job[data-state=running] .stage')?.textContent.includes('restoring')")
    server.kill()
    page.wait_for("!document.getElementById('offline').hidden")
    server.start()
    page.wait_for("document.querySelector('.job[data-state=done]')")
    assert page.value("document.getElementById('offline').hidden")

    page.value("document.querySelector('.job a.name').click()")
    page.wait_for("document.querySelector('.player')?.dataset.ready === 'yes'")
    assert page.value("document.querySelector('video').videoWidth") >= 128
    page.value("document.querySelector('.player .play').click()")
    page.wait_for("Number(document.querySelector('.player [aria-label=Frame]').value) > 3")
    assert page.value("document.querySelectorAll('.crops li').length") >= 1
    assert browser.unexpected(page) == []
