"""The queue in a real browser, with a fake engine: every action, in two tabs that show the same; presets, history."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
import serving
from page_server import PageServer

PROGRAM = browser.find_browser()

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no chromium here (Debian: apt-get install chromium)"),
    pytest.mark.slow,
]

NAMES = "[...document.querySelectorAll('[aria-label^=\"Waiting jobs\"] .name')].map((e) => e.textContent).join()"

DRAG_LAST_TO_FIRST = """(() => {
  const rows = [...document.querySelectorAll('[aria-label^="Waiting jobs"] li')], dataTransfer = new DataTransfer();
  const fire = (place, kind, clientY) =>
    place.dispatchEvent(new DragEvent(kind, { bubbles: true, dataTransfer, clientY }));
  fire(rows.at(-1).querySelector('.grip'), 'dragstart', 0);
  fire(rows[0], 'dragover', rows[0].getBoundingClientRect().top + 1);
  fire(rows.at(-1), 'dragend', 0);
})()"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    made = PageServer(tmp_path_factory.mktemp("queue"), fake=True)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def page(server: PageServer, tmp_path: Path) -> Iterator[Any]:
    assert PROGRAM is not None
    with browser.Browser(PROGRAM, tmp_path / "profile") as window:
        opened(window, server)
        yield window
        assert browser.unexpected(window) == []


def opened(page: Any, server: PageServer) -> None:
    page.open(server.address)
    page.wait_for("document.documentElement?.dataset.ready === 'yes'")


def api(page: Any, method: str, path: str, body: Any = None) -> Any:
    """A request as a program would make it."""
    sent = "" if body is None else f", headers: {{'Content-Type': 'application/json'}}, body: '{json.dumps(body)}'"
    return page.value(f"fetch('/api/v1{path}', {{ method: '{method}'{sent} }}).then((a) => a.status < 204 && a.json())")


def click(page: Any, label: str) -> None:
    page.wait_for(f"document.querySelector('[aria-label=\"{label}\"]:not(:disabled)')")
    page.value(f"document.querySelector('[aria-label=\"{label}\"]').click()")


def state(page: Any, name: str, wanted: str) -> None:
    """Waits until the row of a job shows a state."""
    row = f"[...document.querySelectorAll('.job')].find((e) => e.querySelector('.name').textContent === '{name}')"
    page.wait_for(f"{row}?.dataset.state === '{wanted}'")


def test_jobs_can_be_moved_held_stopped_and_tried_again_in_every_tab(page: Any, server: PageServer) -> None:
    for name, told in (("long", {"segments": 4000, "delay_s": 0.02}), ("a", {}), ("b", {}), ("bad", {"fail": "torn"})):
        source = serving.film(server.films / f"{name}.mp4", **told)
        assert api(page, "POST", "/jobs", {"input": source})["id"]
    state(page, "long.mp4", "running")
    page.wait_for(f"{NAMES} === 'a.mp4,b.mp4,bad.mp4'")
    first, second = page.new_tab()
    opened(page, server)
    page.wait_for(f"{NAMES} === 'a.mp4,b.mp4,bad.mp4'")

    page.use(first)
    page.value(DRAG_LAST_TO_FIRST)
    page.wait_for(f"{NAMES} === 'bad.mp4,a.mp4,b.mp4'")
    page.use(second)
    page.wait_for(f"{NAMES} === 'bad.mp4,a.mp4,b.mp4'")
    page.use(first)
    for label in ("Move down: bad.mp4", "Move down: bad.mp4"):
        click(page, label)
    page.wait_for(f"{NAMES} === 'a.mp4,b.mp4,bad.mp4'")
    click(page, "Move up: b.mp4")
    page.wait_for(f"{NAMES} === 'b.mp4,a.mp4,bad.mp4'")
    click(page, "Hold back: a.mp4")
    state(page, "a.mp4", "paused")
    page.use(second)
    page.wait_for(f"{NAMES} === 'b.mp4,a.mp4,bad.mp4'")
    state(page, "a.mp4", "paused")

    click(page, "Pause: long.mp4")
    state(page, "long.mp4", "paused")
    state(page, "b.mp4", "done")
    state(page, "bad.mp4", "failed")
    assert page.value("document.querySelector('.job[data-state=failed] .about').textContent") == "Torn."
    click(page, "Resume: long.mp4")
    state(page, "long.mp4", "running")
    click(page, "Cancel: long.mp4")
    state(page, "long.mp4", "cancelled")
    click(page, "Resume: a.mp4")
    state(page, "a.mp4", "done")
    click(page, "Remove: b.mp4")
    page.wait_for("!document.querySelector('[aria-label=\"Remove: b.mp4\"]')")
    assert (server.films / "b_x4.mp4").exists()
    page.use(first)
    page.wait_for("!document.querySelector('[aria-label=\"Remove: b.mp4\"]')")
    state(page, "a.mp4", "done")

    page.value("location.hash = '#/history'")
    page.wait_for("document.querySelectorAll('.job').length === 3")
    page.value("(() => { const e = document.getElementById('search'); e.value = 'torn'; e.oninput?.(); })()")
    page.value("document.getElementById('search').dispatchEvent(new Event('input'))")
    page.wait_for("document.querySelectorAll('.job').length === 1")
    page.value("document.querySelector('.job .name').click()")
    page.wait_for("document.querySelector('.log')?.textContent.includes('torn')")


def test_settings_are_kept_under_a_name_and_used_again(page: Any, server: PageServer) -> None:
    page.value("location.hash = '#/new'")
    page.wait_for("document.querySelector('#set-size')")
    page.value(
        "(() => { const e = document.querySelector('#set-size'); e.value = 'height 1080';"
        "e.dispatchEvent(new Event('change')); })()"
    )
    page.value(
        "[...document.querySelectorAll('.presets button')].find((e) => e.textContent.startsWith('Save')).click()"
    )
    page.wait_for("document.querySelector('#preset-name')")
    page.value("document.querySelector('#preset-name').value = 'Television'")
    page.value("document.querySelector('dialog form').requestSubmit()")
    page.wait_for("document.querySelector('.presets select').value === 'Television'")
    assert api(page, "GET", "/presets")["presets"][0]["settings"] == {"height": 1080}
    page.value(
        "(() => { const e = document.querySelector('.presets select'); e.value = '';"
        "e.dispatchEvent(new Event('change')); })()"
    )
    assert page.value("document.querySelector('#set-size').value") == ""
    opened(page, server)
    page.value("location.hash = '#/new'")
    page.wait_for("[...document.querySelectorAll('.presets option')].some((e) => e.value === 'Television')")


def test_an_upload_goes_on_after_the_server_was_killed(page: Any, server: PageServer, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(12 << 20)
    (tmp_path / "large.mp4").write_bytes(data)
    browser.drop(page, tmp_path / "large.mp4")
    page.wait_for("document.querySelector('.inputs progress')?.value > 500000")
    server.kill()
    page.wait_for("!document.getElementById('offline').hidden")
    server.start()
    page.wait_for("document.querySelector('.inputs li .quiet').textContent.includes('· uploaded')")
    (found,) = api(page, "GET", "/uploads")["uploads"]
    assert Path(found["path"]).read_bytes() == data


def test_a_dropped_folder_of_images_is_one_clip(page: Any, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(12):
        (tmp_path / "frames" / f"{number:03}.png").write_bytes(bytes([number]))
    browser.drop(page, tmp_path / "frames")
    page.wait_for("document.querySelector('.inputs li .quiet')?.textContent.includes('· uploaded')")
    assert page.value("document.querySelectorAll('.inputs li').length") == 1
    assert page.value("document.querySelector('.inputs .name').textContent") == "frames"
    uploads = [each for each in api(page, "GET", "/uploads")["uploads"] if each["folder_path"]]
    (folder,) = {each["folder_path"] for each in uploads}
    assert [path.read_bytes()[0] for path in sorted(Path(folder).glob("*.png"))] == list(range(12))


def test_a_server_with_a_token_asks_for_it_once(tmp_path: Path) -> None:
    assert PROGRAM is not None
    token = "correct-horse-battery-staple"
    server = PageServer(tmp_path / "server", fake=True, token=token)
    server.start()
    try:
        with browser.Browser(PROGRAM, tmp_path / "profile") as page:
            page.open(server.address)
            page.wait_for("document.querySelector('#token')")
            for given, wanted in (("wrong-wrong-wrong-wrong", "dialog .error:not(:empty)"), (token, ".drop-zone")):
                page.value(f"document.querySelector('#token').value = '{given}'")
                page.value("document.querySelector('dialog form').requestSubmit()")
                page.wait_for(f"document.querySelector('{wanted}')")
            opened(page, server)
        with browser.Browser(PROGRAM, tmp_path / "other profile") as page:
            page.open(f"{server.address}#token={token}")
            page.wait_for("document.querySelector('.drop-zone')")
            assert page.value("location.hash") == ""
            assert page.complaints() == []
    finally:
        server.stop()


def test_a_folder_can_be_watched_held_and_left(page: Any, server: PageServer) -> None:
    for name in ("incoming", "restored"):
        (server.films / name).mkdir()
    page.value("location.hash = '#/watch'")
    page.wait_for("document.querySelector('#watch-from')")
    page.value(f"document.querySelector('#watch-from').value = '{server.films / 'incoming'}'")
    page.value(f"document.querySelector('#watch-to').value = '{server.films / 'restored'}'")
    page.value("document.querySelector('main form').requestSubmit()")
    page.wait_for("document.querySelector('.watch .name')?.textContent.includes('incoming')")
    serving.film(server.films / "incoming" / "new.mp4")
    page.wait_for("document.querySelector('.watch .about').textContent.includes('1 video made')")
    assert [path.name for path in (server.films / "restored").glob("*.mp4")] == ["new_x4.mp4"]
    page.value("document.querySelector('.watch button').click()")
    page.wait_for("document.querySelector('.watch .about').textContent.includes('held')")
    page.value("document.querySelectorAll('.watch button')[1].click()")
    page.wait_for("document.querySelector('dialog .danger')")
    page.value("document.querySelector('dialog .danger').click()")
    page.wait_for("!document.querySelector('.watch')")


def test_the_interface_is_shown_without_a_complaint(page: Any, server: PageServer) -> None:
    page.open(f"{server.address}docs")
    page.wait_for("document.querySelectorAll('details').length > 10")
