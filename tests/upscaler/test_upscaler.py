"""`limpid.Upscaler`: one loaded network for films, clips and pictures, and the pixels of the command line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import local_method
from PIL import Image

import limpid
from limpid.cli.main import main
from limpid.methods import METHODS
from limpid.presets import LOOKS
from limpid.priors.load.kept import LoadWithTexts
from limpid.types import InputError, Interrupted, SettingsError, Window
from limpid.video import FrameReader, probe, scan


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A method "fast" that takes no time; the list gets an entry whenever its network is loaded or told other texts."""
    counted: list[str] = []

    def make(*, prompt: str = "", noise_level: int = 0) -> Any:
        method = local_method(name="fast", options=frozenset({"seed", "tile_px", "steps"}))

        def whole(placement: Any) -> Any:
            counted.append(f"loaded {noise_level}")
            return method.load(placement)

        def told(prior: Any, placement: Any) -> Any:
            counted.append(f"told {prompt}")
            return prior

        return replace(method, load=LoadWithTexts(whole, told))

    monkeypatch.setitem(METHODS, "fast", make)
    return counted


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """``t h w 3`` in 8 bits."""
    return np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3), np.uint8)


def pixels_of(path: Path) -> np.ndarray:
    clip = probe(path, fps=Fraction(25) if path.is_dir() else None)
    timeline = scan(clip, detect_cuts=False)
    with FrameReader(clip, timeline) as reader:
        return np.stack([f.pixels for f in reader.read(Window(start=0, stop=timeline.num_frames))])


# ---------------------------------------------------------------------------------------------- one network


def test_networks_are_loaded_once_for_films_clips_and_pictures(
    clip: Path, tmp_path: Path, loads: list[str], pictures: np.ndarray
) -> None:
    with limpid.Upscaler(method="fast") as upscaler:
        assert loads == []
        upscaler.film(clip, tmp_path / "a.mp4")
        upscaler.film(clip, tmp_path / "b.mp4", seed=3)
        upscaler.image(pictures[0])
        upscaler.clip(pictures)
        list(upscaler.frames(iter(pictures)))
        assert loads == ["loaded 0"]
        upscaler.film(clip, tmp_path / "c.mp4", noise_level=5)
        assert loads == ["loaded 0", "loaded 5"]
    with pytest.raises(SettingsError, match="closed"):
        upscaler.image(pictures[0])


def test_another_text_is_told_to_the_networks_that_are_there(loads: list[str], pictures: np.ndarray) -> None:
    upscaler = limpid.Upscaler(method="fast", prompt="a street")
    for prompt in ("a street", "a park", "a park", "a street"):
        upscaler.image(pictures[0], prompt=prompt)
    assert loads == ["loaded 0", "told a park", "told a street"]


def test_memory_of_closed_networks_is_free(monkeypatch: pytest.MonkeyPatch, pictures: np.ndarray) -> None:
    import gc
    import weakref

    loaded: list[Any] = []
    method = local_method(name="fast")

    def load(placement: Any) -> Any:
        prior = method.load(placement)
        loaded.append(weakref.ref(prior))
        return prior

    monkeypatch.setitem(METHODS, "fast", lambda: replace(method, load=load))
    upscaler = limpid.Upscaler(method="fast")
    upscaler.image(pictures[0])
    gc.collect()
    assert loaded[0]() is not None
    upscaler.close()
    assert loaded[0]() is None


def test_bad_options_are_refused_before_anything_is_loaded() -> None:
    with pytest.raises(SettingsError, match="no method"):
        limpid.Upscaler(method="nothing")
    with pytest.raises(SettingsError, match="not an option"):
        limpid.Upscaler(speed=3)
    with pytest.raises(SettingsError, match="prompt has no effect"):
        limpid.Upscaler(prompt="a street")
    with pytest.raises(SettingsError, match="crf is about files"):
        limpid.Upscaler(crf=3).image(np.zeros((16, 16, 3), np.uint8))


def test_threads_take_turns(loads: list[str], pictures: np.ndarray) -> None:
    upscaler, found = limpid.Upscaler(method="fast"), dict[int, np.ndarray]()

    def work(index: int) -> None:
        found[index] = upscaler.image(pictures[index])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["loaded 0"]
    alone = limpid.Upscaler(method="fast")
    assert all(np.array_equal(found[n], alone.image(pictures[n])) for n in range(4))


def test_a_call_that_waits_for_its_turn_can_be_stopped(clip: Path, tmp_path: Path, loads: list[str]) -> None:
    upscaler, stop, raised = limpid.Upscaler(method="fast"), threading.Event(), list[BaseException]()

    def wait() -> None:
        try:
            upscaler.film(clip, tmp_path / "never.mp4", stop=stop)
        except BaseException as error:
            raised.append(error)

    def on_event(event: dict[str, Any]) -> None:
        if not raised:
            thread = threading.Thread(target=wait)
            thread.start()
            stop.set()
            thread.join()

    upscaler.film(clip, tmp_path / "a.mp4", on_event=on_event)
    assert isinstance(raised[0], Interrupted)
    assert not (tmp_path / "never.mp4").exists()


def test_a_picture_may_be_asked_for_while_a_film_tells_how_far_it_is(
    clip: Path, tmp_path: Path, loads: list[str], pictures: np.ndarray
) -> None:
    upscaler = limpid.Upscaler(method="fast")
    sizes = set()
    upscaler.film(clip, tmp_path / "a.mp4", on_event=lambda event: sizes.add(upscaler.image(pictures[0]).shape))
    assert len(sizes) == 1


# ---------------------------------------------------------------------------------------------- the same pixels


def test_films_and_frames_have_the_pixels_of_the_command_line(clip: Path, tmp_path: Path) -> None:
    by_command, by_film = tmp_path / "command.mkv", tmp_path / "film.mkv"
    assert main(["upscale", str(clip), str(by_command), "--codec", "ffv1", "--dtype", "float32", "--quiet"]) == 0
    assert main(["upscale", str(clip), str(tmp_path / "out"), "--codec", "images", "--dtype", "float32"]) == 0
    with limpid.Upscaler(dtype="float32") as upscaler:
        upscaler.image(np.zeros((16, 16, 3), np.uint8))
        upscaler.film(clip, by_film, codec="ffv1")
        restored = upscaler.clip(pixels_of(clip), cuts=[15])
    assert by_film.read_bytes() == by_command.read_bytes()
    assert np.array_equal(restored, pixels_of(tmp_path / "out"))


# ---------------------------------------------------------------------------------------------- progress, presets


def test_frames_tell_how_far_they_are_also_inside_of_a_segment(
    loads: list[str], pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpid.run.events.PROGRESS_INTERVAL_S", 0)
    events: list[dict[str, Any]] = []
    upscaler = limpid.Upscaler(method="fast", segment_frames=2, steps=3)
    restored = upscaler.clip(pictures, on_event=events.append)
    assert np.array_equal(restored, upscaler.clip(pictures))
    done = [event["done"] for event in events if event["event"] == "progress"]
    assert done == sorted(done) and done[0] == 0 and done[-1] == 5
    assert any(number != int(number) for number in done), "nothing is told inside of a segment"


def test_frames_can_be_stopped_and_the_upscaler_goes_on(loads: list[str], pictures: np.ndarray) -> None:
    upscaler, stop = limpid.Upscaler(method="fast", segment_frames=1), threading.Event()
    stream = upscaler.frames(iter(pictures), stop=stop)
    next(stream)
    stop.set()
    with pytest.raises(Interrupted):
        list(stream)
    assert upscaler.clip(pictures).shape[0] == 5


def test_what_is_raised_by_whoever_is_told_ends_the_computation(loads: list[str], pictures: np.ndarray) -> None:
    class Enough(BaseException):
        pass

    def told(event: dict[str, Any]) -> None:
        raise Enough

    upscaler = limpid.Upscaler(method="fast")
    with pytest.raises(Enough):
        upscaler.image(pictures[0], on_event=told)
    assert upscaler.image(pictures[0]).ndim == 3


@pytest.mark.parametrize("name", ["film", "animation"])
def test_a_preset_is_for_pictures_as_well_without_what_it_says_of_files(name: str, pictures: np.ndarray) -> None:
    detail = LOOKS[name].settings["detail"]
    expected = limpid.Upscaler(detail=detail).image(pictures[0])
    assert np.array_equal(limpid.Upscaler(preset_look=name).image(pictures[0]), expected)
    assert np.array_equal(limpid.Upscaler().image(pictures[0], preset_look=name), expected)
    assert np.array_equal(next(limpid.restore(pictures[:1], preset_look=name)), expected)
    assert not np.array_equal(limpid.Upscaler().image(pictures[0]), expected)
    with pytest.raises(SettingsError, match="crf is about files"):
        limpid.Upscaler(preset_look=name).image(pictures[0], crf=3)


def test_a_preset_that_does_not_fit_the_method_is_named(loads: list[str], pictures: np.ndarray) -> None:
    refused = pytest.raises(SettingsError, match="the preset film does not fit here: detail")
    with refused:
        limpid.Upscaler(method="fast", preset_look="film")
    with refused:
        limpid.Upscaler(method="fast").image(pictures[0], preset_look="film")


# ---------------------------------------------------------------------------------------------- kinds of frames


def test_clips_come_back_as_the_kind_they_were(loads: list[str], pictures: np.ndarray) -> None:
    upscaler = limpid.Upscaler(method="fast")
    whole = upscaler.clip(pictures)
    assert whole.dtype == np.uint8 and whole.shape[0] == 5 and whole.shape[3] == 3
    floats = upscaler.clip(pictures.astype(np.float32) / 255)
    assert floats.dtype == np.float32 and floats.shape == whole.shape
    assert np.abs(floats * 255 - whole).max() < 0.51
    tensors = upscaler.clip(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)
    assert isinstance(tensors, torch.Tensor)
    assert np.array_equal(tensors.permute(0, 2, 3, 1).numpy(), floats)
    images = upscaler.clip([Image.fromarray(picture) for picture in pictures])
    assert isinstance(images, list) and all(isinstance(image, Image.Image) for image in images)
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), whole)
    arrays = upscaler.clip(list(pictures))
    assert isinstance(arrays, list) and np.array_equal(np.stack(arrays), whole)
    assert upscaler.clip(pictures[:0]).shape == (0, 16, 20, 3)


def test_one_picture_is_a_clip_of_one_frame(loads: list[str], pictures: np.ndarray) -> None:
    upscaler = limpid.Upscaler(method="fast")
    alone = upscaler.image(pictures[0])
    assert np.array_equal(alone, upscaler.clip(pictures[:1])[0])
    image = upscaler.image(Image.fromarray(pictures[0]))
    assert image.mode == "RGB" and np.array_equal(np.asarray(image), alone)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (Image.new("RGBA", (16, 16)), "a PIL image of mode RGBA"),
        (Image.new("L", (16, 16)), "convert"),
        ("film.mp4", "a frame is str"),
        (np.zeros((16, 16), np.uint8), "numpy arrays h w 3"),
        (torch.zeros(16, 16, 3), "float torch tensors 3 h w"),
    ],
)
def test_what_is_no_frame_is_refused_with_what_to_give(frame: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        limpid.Upscaler().image(frame)


def test_frames_come_one_by_one_and_are_taken_as_they_are_needed(loads: list[str], pictures: np.ndarray) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield pictures[0]

    upscaler = limpid.Upscaler(method="fast", segment_frames=4)
    stream = upscaler.frames(endless())
    assert taken == 0
    for _ in range(3):
        next(stream)
    assert 0 < taken < 40
    between = upscaler.image(pictures[1])  # another call while the stream is not at its end
    alone = list(upscaler.frames(pictures[[0] * 8]))
    assert np.array_equal(next(stream), alone[3]) and not np.array_equal(between, alone[3])
