"""Links, pipes, devices and folders planted where a run writes or deletes; outputs that hold the input (A, C, D, L)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import clip_at

from limpid.run.journal import is_our_name
from limpid.run.places import Places, check_output, choose_places, home_of
from limpid.run.workspace import check_own, done_name, empty, workspace
from limpid.settings import Settings
from limpid.types import OutputError

INSIDE = (
    *("lock", "journal.jsonl", "scan.json", "captions.json", "sidecar.json", "part.mp4", "trial.nut"),
    *("000000.nut", "partial-000000.nut", "000000.carry.safetensors", ".scan.json.7.partial"),
)


def a_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "precious")


def a_link_to_a_folder(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def a_dangling_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "not there")


def a_hard_link(path: Path, outside: Path) -> None:
    path.hardlink_to(outside / "precious")


def a_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path, outside: Path) -> None:
    path.mkdir()
    (path / "theirs").write_text("theirs")


PLANTS = [a_link, a_link_to_a_folder, a_dangling_link, a_hard_link, a_pipe, a_folder]
Plant = Callable[[Path, Path], None]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    (folder / "lock").write_text("not ours")
    (folder / "journal.jsonl").write_text("not ours either")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "here").mkdir()
    (tmp_path / "in.mp4").touch()
    return choose_places(clip_at(tmp_path / "in.mp4"), tmp_path / "here" / "o.mp4", Settings(), None)


def run(places: Places, overwrite: bool = False) -> None:
    """What every run does before its work, and after it without success."""
    check_output(places, clip_at(places.source), overwrite=overwrite)
    with workspace(places):
        pass


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", INSIDE)
def test_what_is_planted_in_a_work_folder_is_refused_and_not_touched(
    places: Places, outside: Path, name: str, plant: Plant
) -> None:
    places.work.mkdir()
    plant(places.work / name, outside)
    before = contents(outside)
    if name == "part.mp4" and plant is a_hard_link:  # is only unlinked, and has two names while a result gets its own
        run(places)
    else:
        with pytest.raises(OutputError, match="not what Limpid puts there"):
            run(places)
        assert os.path.lexists(places.work / name)
    assert contents(outside) == before


@pytest.mark.parametrize("plant", [a_link, a_link_to_a_folder, a_dangling_link, a_hard_link, a_pipe])
@pytest.mark.parametrize("where", ["work", "done", "elsewhere"])
def test_a_work_folder_is_never_a_link(tmp_path: Path, places: Places, outside: Path, plant: Plant, where: str) -> None:
    if where == "elsewhere":
        places = Places(source=places.source, output=places.output, work=tmp_path / "work" / "x.limpid")
        places.work.parent.mkdir()
    plant({"work": places.home, "done": done_name(places.home), "elsewhere": places.work}[where], outside)
    before = contents(outside)
    with pytest.raises((OutputError, FileExistsError)):
        run(places)
    assert contents(outside) == before


@pytest.mark.parametrize("plant", [a_link, a_link_to_a_folder, a_dangling_link, a_pipe])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("where", ["output", "sidecar"])
def test_outputs_and_records_are_never_links_or_pipes(
    places: Places, outside: Path, plant: Plant, overwrite: bool, where: str
) -> None:
    plant(getattr(places, where), outside)
    before = contents(outside)
    with pytest.raises(OutputError, match=r"is a link|device or a pipe"):
        run(places, overwrite)
    assert contents(outside) == before


def test_devices_are_no_outputs(tmp_path: Path) -> None:
    clip = clip_at(tmp_path / "in.mp4")
    for device in ("/dev/null", "/dev/full"):
        with pytest.raises(OutputError, match="device"):
            check_output(choose_places(clip, device, Settings(), None), clip, overwrite=True)


def test_a_record_of_somebody_else_is_not_written_over(places: Places) -> None:
    for text in ("", "theirs", json.dumps({"settings": 1})):
        places.sidecar.write_text(text)
        with pytest.raises(OutputError, match="something else"):
            run(places, overwrite=True)
        assert places.sidecar.read_text() == text


def test_only_names_of_limpid_are_deleted(places: Places) -> None:
    places.work.mkdir()
    for name in ("theirs.txt", "1.nut", "journal.jsonl.bak", "lock2", "part.mp4.old", "thesis"):
        assert not is_our_name(name)
        (places.work / name).write_text("theirs")
    (places.work / "000000.nut").write_text("ours")
    run(places)
    assert sorted(path.name for path in places.work.iterdir() if path.read_text() == "theirs") == sorted(
        ["theirs.txt", "1.nut", "journal.jsonl.bak", "lock2", "part.mp4.old", "thesis"]
    )
    assert not (places.work / "000000.nut").exists()


def test_after_success_strangers_keep_their_place(places: Places) -> None:
    with workspace(places) as space:
        (places.work / "theirs").write_text("theirs")
        space.done = True
    assert [path.name for path in places.work.iterdir()] == ["theirs"]


def test_emptying_never_follows_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    before = contents(outside)
    empty(tmp_path / "link")
    assert contents(outside) == before


def test_the_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    check_own(tmp_path / "work")
    owner = (tmp_path / "work").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr("limpid.run.workspace._is_owner", lambda folder, found: found in (os.geteuid(),))
    with pytest.raises(OutputError, match="not what Limpid puts there"):
        check_own(tmp_path / "work")


# ------------------------------------------------------------------------------- outputs that hold the input


def images(folder: Path, count: int = 2) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    found = [folder / f"{number:08d}.png" for number in range(count)]
    for path in found:
        path.write_bytes(b"png")
    return found


@pytest.mark.parametrize("output", [".", "..", "p10", "p10/../p10", "link"])
def test_an_output_never_contains_the_input(tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = images(tmp_path / "p10")
    (tmp_path / "link").symlink_to(tmp_path / "p10")
    monkeypatch.chdir(tmp_path / "p10" if output.startswith(".") else tmp_path)
    one = clip_at(files[0], kind="images", image_paths=(str(files[0]),))
    with pytest.raises(OutputError, match=r"holds the input|no name|is the input|is a link"):
        check_output(choose_places(one, output, Settings(), None), one, overwrite=True)
    assert all(path.exists() for path in files)


@pytest.mark.parametrize("output", ["p10", "p10/deeper", "p10/film.mp4", "p10/00000000.png"])
def test_an_output_never_lies_in_the_folder_that_is_the_input(tmp_path: Path, output: str) -> None:
    files = images(tmp_path / "p10")
    clip = clip_at(tmp_path / "p10", kind="images", image_paths=tuple(map(str, files)))
    with pytest.raises(OutputError, match=r"is the input|lies in|holds the input"):
        check_output(choose_places(clip, tmp_path / output, Settings(), None), clip, overwrite=True)


def test_images_that_are_links_count_where_they_lead(tmp_path: Path) -> None:
    files = images(tmp_path / "real")
    (tmp_path / "links").mkdir()
    links = [tmp_path / "links" / path.name for path in files]
    for link, path in zip(links, files, strict=True):
        link.symlink_to(path)
    clip = clip_at(tmp_path / "links", kind="images", image_paths=tuple(map(str, links)))
    with pytest.raises(OutputError, match="holds the input"):
        check_output(choose_places(clip, tmp_path / "real", Settings(), None), clip, overwrite=True)
    check_output(choose_places(clip, tmp_path / "other", Settings(), None), clip, overwrite=True)


def test_beside_the_input_is_right(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").touch()
    clip = clip_at(tmp_path / "in.mp4")
    check_output(choose_places(clip, tmp_path / "out.mp4", Settings(), None), clip, overwrite=False)


# ----------------------------------------------------------------------------------------- names, locks


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u65e5"])
@pytest.mark.parametrize("length", [100, 231, 232, 240, 243])
def test_long_names_work_up_to_the_limit_of_the_record(tmp_path: Path, letter: str, length: int) -> None:
    stem = letter * ((length - 4) // len(letter.encode()))
    clip = clip_at(tmp_path / "in.mp4")
    places = choose_places(clip, tmp_path / f"{stem}.mp4", Settings(), tmp_path / "w")
    check_output(places, clip, overwrite=False)
    with workspace(places):
        places.sidecar.touch()
        (places.work / "x").touch()


def test_longer_names_are_refused_before_any_work(tmp_path: Path) -> None:
    clip = clip_at(tmp_path / "in.mp4")
    for length in (244, 255, 256, 4000):
        with pytest.raises(OutputError, match="at most 243"):
            name = f"{'x' * (length - 4)}.mp4"
            check_output(choose_places(clip, tmp_path / name, Settings(), None), clip, overwrite=True)


def test_homes_of_long_names_differ(tmp_path: Path) -> None:
    homes = {home_of(tmp_path / f"{'x' * 238}{end}.mp4") for end in "abc"}
    assert len(homes) == 3 and all(len(home.name) <= 255 for home in homes)


def test_one_output_has_one_run_wherever_its_segments_are(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").touch()
    clip = clip_at(tmp_path / "in.mp4")
    works: list[Any] = [None, tmp_path / "a", tmp_path / "b"]
    for first in works:
        for second in works:
            with (
                workspace(choose_places(clip, tmp_path / "o.mp4", Settings(), first)),
                pytest.raises(OutputError, match="another run"),
                workspace(choose_places(clip, tmp_path / "o.mp4", Settings(), second)),
            ):
                pass
    one, other = (choose_places(clip, tmp_path / name, Settings(), None) for name in ("o.mp4", "p.mp4"))
    with workspace(one) as a, workspace(other) as b:
        assert a.folder != b.folder
