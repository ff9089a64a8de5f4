"""`limpid.upscale` and `limpid.restore` end to end on small clips, with the shipped model and with fakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import media
import numpy as np
import pytest
import torch
from fakes import ConvPrior, local_method
from stand_ins import stand_in

import limpid
from limpid.method import Weights
from limpid.methods import METHODS
from limpid.run.journal import Journal
from limpid.types import InputError, Interrupted, OutputError, ResourceError, SettingsError, Window
from limpid.video import FrameReader, frame_pts, probe, scan


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A local method that takes no time, as "fast"; the returned values may be changed between runs."""
    changes: dict[str, Any] = {}

    def make() -> Any:
        return local_method(**{"name": "fast", "options": frozenset({"seed", "tile_px", "steps"}), **changes})

    monkeypatch.setitem(METHODS, "fast", make)
    return changes


def pixels_of(path: Path) -> np.ndarray:
    clip = probe(path, fps=Fraction(25) if path.is_dir() else None)
    timeline = scan(clip, detect_cuts=False)
    with FrameReader(clip, timeline) as reader:
        return np.stack([f.pixels for f in reader.read(Window(start=0, stop=timeline.num_frames))])


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(audio=0) if p.size]


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith(".") or "partial" in p.name)


def stop_after(segments: int, error: BaseException) -> Callable[[dict[str, Any]], None]:
    """A callback that ends a run after some segments are durable."""

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "segment" and event["index"] >= segments - 1:
            raise error

    return on_event


# ---------------------------------------------------------------------------------------------- whole runs


def test_a_clip_comes_out_whole_with_its_sound_and_a_sidecar(clip: Path, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    output = tmp_path / "out.mp4"
    report = limpid.upscale(clip, output, on_event=events.append)
    assert (report.output, report.frames, report.resumed_segments) == (output, 40, 0)
    assert pixels_of(output).shape == (40, 128, 192, 3)
    assert frame_pts(output, Fraction(1, 25)) == list(range(40))
    assert sound_of(output) == sound_of(clip)
    assert leftovers(tmp_path) == []
    stages = [e["stage"] for e in events if e["event"] == "stage"]
    assert stages == ["probe", "scan", "plan", "calibrate", "run", "assemble", "finish"]
    assert [e["event"] for e in events[-2:]] == ["times", "done"]
    assert report.times == {name: value for name, value in events[-2].items() if name != "event"}
    assert report.times["network"] > 0 and report.times["encode"] > 0 and 0 < report.times["outside_network"] < 1
    json.dumps(events)


def test_the_cut_is_found_and_no_segment_crosses_it(clip: Path, tmp_path: Path, fast: dict[str, Any]) -> None:
    report = limpid.upscale(clip, tmp_path / "out.mp4", method="fast")
    assert [s[3:5] for s in report.plan["segments"]] == [[0, 15], [15, 40]]


def test_the_sidecar_reproduces_the_output_byte_for_byte(clip: Path, tmp_path: Path, fast: dict[str, Any]) -> None:
    limpid.upscale(clip, tmp_path / "a.mp4", method="fast", seed=3, scale=1.5, crf=20)
    source, settings = limpid.from_sidecar(tmp_path / "a.mp4.limpid.json", trust=True)
    assert source == clip
    assert (settings.seed, settings.scale, settings.crf, settings.codec) == (3, 1.5, 20, "h264")
    limpid.upscale(source, tmp_path / "b.mp4", settings=settings)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("text", ["", "[]", '{"limpid_sidecar": 1}', '{"a": 1}'])
def test_what_is_no_sidecar_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.limpid.json").write_text(text)
    with pytest.raises(InputError, match="no sidecar"):
        limpid.from_sidecar(tmp_path / "x.limpid.json")


def test_any_cut_gives_the_same_bits(clip: Path, tmp_path: Path) -> None:
    cuts: list[dict[str, Any]] = [
        {"segment_frames": 8},
        {"segment_frames": 24, "tile_px": 32},
        {"segment_frames": 1000},
    ]
    found = []
    for number, options in enumerate(cuts):
        output = tmp_path / f"{number}.mkv"
        limpid.upscale(clip, output, codec="ffv1", calibrate=False, detect_cuts=False, **options)
        found.append(pixels_of(output))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_a_preview_shows_the_pixels_of_the_whole_run(clip: Path, tmp_path: Path) -> None:
    limpid.upscale(clip, tmp_path / "all.mkv", codec="ffv1")
    report = limpid.upscale(clip, tmp_path / "part.mkv", codec="ffv1", preview="0.72-1.2")
    assert report.plan["frames"] == [18, 30]
    assert np.array_equal(pixels_of(tmp_path / "part.mkv"), pixels_of(tmp_path / "all.mkv")[18:30])
    with pytest.raises(SettingsError, match="after the end"):
        limpid.upscale(clip, tmp_path / "none.mkv", preview="5-6")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "size"),
    [({"scale": 2}, (96, 64)), ({"scale": 3.5}, (168, 112)), ({"height": 50}, (76, 50)), ({"scale": 0.5}, (24, 16))],
)
def test_any_size_is_reached(
    clip: Path, tmp_path: Path, fast: dict[str, Any], options: dict[str, Any], size: tuple[int, int]
) -> None:
    limpid.upscale(clip, tmp_path / "out.mp4", method="fast", **options)
    assert pixels_of(tmp_path / "out.mp4").shape[1:3] == (size[1], size[0])


def test_images_with_transparency_keep_it(tmp_path: Path, fast: dict[str, Any]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(5):
        media.write_image(folder / f"{i}.png", media.picture(i, 32, 24, channels=4, stamp=False))
    report = limpid.upscale(folder, method="fast", fps=25, scale=2)
    assert report.output == tmp_path / "in_x2"
    pixels = pixels_of(report.output)
    assert pixels.shape == (5, 48, 64, 4)
    small = pixels_of(folder)[..., 3].astype(float)
    assert np.abs(pixels[:, ::2, ::2, 3].astype(float) - small).mean() < 12
    assert leftovers(tmp_path) == []


def test_a_stream_of_frames_gives_the_pixels_of_a_file(clip: Path, tmp_path: Path, fast: dict[str, Any]) -> None:
    limpid.upscale(clip, tmp_path / "out", codec="images", method="fast")
    frames, whole = pixels_of(clip), pixels_of(tmp_path / "out")
    for length in (1, 7, 100):
        streamed = list(limpid.restore(iter(frames), cuts=[15], method="fast", segment_frames=length))
        assert np.array_equal(np.stack(streamed), whole)


def test_frames_come_back_as_the_kind_they_were(clip: Path) -> None:
    frames = pixels_of(clip)[:3]
    whole = np.stack(list(limpid.restore(frames)))
    deep = np.stack(list(limpid.restore(frames.astype(np.uint16) * 257)))
    floats = np.stack(list(limpid.restore(frames.astype(np.float32) / 255)))
    tensors = list(limpid.restore([torch.from_numpy(f).permute(2, 0, 1) / 255 for f in frames]))
    assert (whole.dtype, deep.dtype, floats.dtype, tensors[0].dtype) == (np.uint8, np.uint16, np.float32, torch.float32)
    assert whole.shape == deep.shape == floats.shape == (3, 128, 192, 3)
    assert np.abs(deep / 65535 - whole / 255).max() < 0.51 / 255
    assert np.array_equal(floats, torch.stack(tensors).permute(0, 2, 3, 1).numpy())
    assert next(limpid.restore(frames, scale=2)).shape == (64, 96, 3)


def test_a_stream_is_bounded_and_checks_its_frames() -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros((16, 16, 3), np.uint8)

    stream = limpid.restore(endless(), segment_frames=4)
    for _ in range(3):
        assert next(stream).shape == (64, 64, 3)
    assert taken < 40
    assert list(limpid.restore([])) == []
    with pytest.raises(InputError, match="frame 1 is not like the first"):
        list(limpid.restore([np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)]))
    with pytest.raises(InputError, match="numpy arrays h w 3"):
        list(limpid.restore([np.zeros((16, 16), np.uint8)]))
    with pytest.raises(SettingsError, match="crf"):
        limpid.restore([], crf=3)
    with pytest.raises(SettingsError, match="ascending"):
        limpid.restore([], cuts=[5, 3])


# ------------------------------------------------------------------------------------------ refused early


def test_what_would_fail_later_is_refused_first(clip: Path, tmp_path: Path, fast: dict[str, Any]) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"mine")
    with pytest.raises(OutputError, match="--overwrite"):
        limpid.upscale(clip, output, method="fast")
    with pytest.raises(OutputError, match="the input itself"):
        limpid.upscale(clip, clip, method="fast", overwrite=True)
    with pytest.raises(OutputError, match="is a file"):
        limpid.upscale(clip, output / "inside.mp4", method="fast")
    with pytest.raises(SettingsError, match="no method"):
        limpid.upscale(clip, tmp_path / "b.mp4", method="nothing")
    with pytest.raises(SettingsError, match="strength has no effect"):
        limpid.upscale(clip, tmp_path / "b.mp4", method="fast", strength=0.5)
    with pytest.raises(SettingsError, match="not an option"):
        limpid.upscale(clip, tmp_path / "b.mp4", speed=3)
    with pytest.raises(SettingsError, match="cuda"):
        limpid.upscale(clip, tmp_path / "b.mp4", method="fast", device="cuda:7")
    assert output.read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    limpid.upscale(clip, output, method="fast", overwrite=True)
    assert len(pixels_of(output)) == 40


def test_pictures_that_are_too_small_are_refused(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "small.mkv", codec="ffv1", width=15, height=40, frames=2)
    with pytest.raises(InputError, match="16x16"):
        limpid.upscale(path, tmp_path / "out.mkv")
    path = media.make_video(tmp_path / "least.mkv", codec="ffv1", width=16, height=16, frames=2)
    limpid.upscale(path, tmp_path / "out.mkv")
    assert pixels_of(tmp_path / "out.mkv").shape == (2, 64, 64, 3)


def test_a_dry_run_writes_nothing(clip: Path, tmp_path: Path, fast: dict[str, Any]) -> None:
    events: list[dict[str, Any]] = []
    report = limpid.upscale(
        clip, tmp_path / "out.mp4", method="fast", segment_frames=4, dry_run=True, on_event=events.append
    )
    assert report.dry_run
    assert report.estimate["calibrated"] or report.estimate["output_bytes"] > 0
    assert [e["event"] for e in events][-2:] == ["plan", "estimate"]
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_space_is_refused_before_the_run(
    clip: Path, tmp_path: Path, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("limpid.run.estimate.shutil.disk_usage", lambda path: Usage)
    with pytest.raises(ResourceError, match="are needed on the disk"):
        limpid.upscale(clip, tmp_path / "out.mp4", method="fast")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------- stopped and going on again


def stopped(clip: Path, output: Path, error: BaseException | None = None, **options: Any) -> None:
    """Leaves a run with its first segment finished."""
    with pytest.raises(type(error or KeyboardInterrupt()) if error else Interrupted):
        limpid.upscale(
            clip,
            output,
            method="fast",
            segment_frames=5,
            on_event=stop_after(1, error or KeyboardInterrupt()),
            **options,
        )
    assert not output.exists()


@pytest.mark.parametrize("error", [None, RuntimeError("a defect")])
def test_the_same_command_goes_on_and_gives_the_same_bytes(
    clip: Path, tmp_path: Path, fast: dict[str, Any], error: BaseException | None
) -> None:
    limpid.upscale(clip, tmp_path / "whole.mp4", method="fast", segment_frames=5)
    output, events = tmp_path / "out.mp4", []
    stopped(clip, output, error)
    assert leftovers(tmp_path) == [".out.mp4.limpid"]
    report = limpid.upscale(clip, output, method="fast", segment_frames=5, on_event=events.append)
    assert report.resumed_segments >= 1
    assert [e for e in events if e["event"] == "resume"]
    assert output.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert leftovers(tmp_path) == []


def test_the_estimate_of_a_run_that_goes_on_is_of_what_is_left(
    clip: Path, tmp_path: Path, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpid.run.estimate.WORTH_IT_IN_A_RUN", 0)
    output, events = tmp_path / "out.mp4", list[dict[str, Any]]()
    stopped(clip, output)
    limpid.upscale(clip, output, method="fast", segment_frames=5, on_event=events.append)
    (estimate,) = (e for e in events if e["event"] == "estimate")
    (resume,) = (e for e in events if e["event"] == "resume")
    assert estimate["left_s"] == pytest.approx(estimate["seconds"] * (40 - resume["frames"]) / 40)
    first = next(e for e in events if e["event"] == "progress" and e["stage"] == "run")
    assert first["done"] == resume["frames"] and first["eta_s"] > 0, "by the trial, before anything was computed"


def test_a_changed_setting_input_or_weight_never_reuses_segments(
    clip: Path, tmp_path: Path, fast: dict[str, Any]
) -> None:
    output, source = tmp_path / "out.mp4", tmp_path / "in.mp4"
    source.write_bytes(clip.read_bytes())

    def goes_on(**options: Any) -> int:
        stopped(source, output)
        change, options = options.pop("change", lambda: None), {"segment_frames": 5, **options}
        change()
        report = limpid.upscale(source, output, method="fast", overwrite=True, **options)
        output.unlink()
        assert report.resumed_segments or any("not used" in w for w in report.warnings)
        return report.resumed_segments

    assert goes_on() >= 1
    assert goes_on(seed=1) == 0
    assert goes_on(segment_frames=6) == 0
    assert goes_on(change=lambda: fast.update(weights=Weights(digest=lambda: "other"))) == 0

    def edit() -> None:
        data = bytearray(source.read_bytes())
        data[-1] ^= 1
        source.write_bytes(data)

    assert goes_on(change=edit) == 0


def test_stopped_while_the_output_appears_it_is_made_again(
    clip: Path, tmp_path: Path, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.mp4"
    with monkeypatch.context() as patch:
        patch.setattr("limpid.api.join_segments", _joins_and_fails)
        with pytest.raises(RuntimeError, match="killed"):
            limpid.upscale(clip, output, method="fast")
    before = output.read_bytes()
    report = limpid.upscale(clip, output, method="fast")
    assert report.resumed_segments == len(report.plan["segments"])
    assert output.read_bytes() == before
    with pytest.raises(OutputError, match="--overwrite"):
        limpid.upscale(clip, output, method="fast")


def _joins_and_fails(*arguments: Any, **options: Any) -> None:
    from limpid.run.finish import join_segments

    join_segments(*arguments, **options)
    raise RuntimeError("killed")


def test_the_work_folder_may_lie_elsewhere_and_be_kept(clip: Path, tmp_path: Path, fast: dict[str, Any]) -> None:
    limpid.upscale(clip, tmp_path / "out.mp4", method="fast", work_dir=tmp_path / "work", keep_work=True)
    (folder,) = (tmp_path / "work").iterdir()
    journal = Journal.load(folder)
    assert journal is not None
    assert len(journal.finished) == len(journal.plan.segments)
    assert leftovers(tmp_path) == []
    again = {"method": "fast", "work_dir": tmp_path / "work"}
    with pytest.raises(OutputError, match="--overwrite"):
        limpid.upscale(clip, tmp_path / "out.mp4", **again)
    report = limpid.upscale(clip, tmp_path / "out.mp4", overwrite=True, **again)
    assert report.resumed_segments == len(report.plan["segments"])


class HungryPrior(ConvPrior):
    """Runs out of memory for more than two frames at once and their halo of two to either side."""

    def denoise(self, z: Any, step: Any, condition: Any) -> Any:
        if z.shape[2] > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().denoise(z, step, condition)


def test_running_out_of_memory_changes_no_byte_of_a_local_method(
    clip: Path, tmp_path: Path, fast: dict[str, Any]
) -> None:
    limpid.upscale(clip, tmp_path / "plenty.mkv", method="fast", steps=1, codec="ffv1")
    fast["load"] = lambda placement: HungryPrior()
    report = limpid.upscale(clip, tmp_path / "scarce.mkv", method="fast", steps=1, codec="ffv1")
    assert any("out of memory" in warning for warning in report.warnings)
    assert json.loads((tmp_path / "scarce.mkv.limpid.json").read_text())["rungs"][-1]["chunk_frames"] == 2
    assert np.array_equal(pixels_of(tmp_path / "plenty.mkv"), pixels_of(tmp_path / "scarce.mkv"))
    frames = pixels_of(clip)[:15]
    streamed = np.stack(list(limpid.restore(frames, method="fast", steps=1)))
    fast.pop("load")
    assert np.array_equal(streamed, np.stack(list(limpid.restore(frames, method="fast", steps=1))))


# ---------------------------------------------------------------------------------------------- encoders


def test_a_run_goes_on_with_the_encoder_that_it_began_with(
    clip: Path, tmp_path: Path, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A software encoder stands in for the hardware's; "auto" finds another one when the run goes on."""
    stand_in(monkeypatch, "amf")
    output, options = tmp_path / "out.mp4", {"method": "fast", "encoder": "auto", "segment_frames": 10}
    with pytest.raises(Interrupted):
        limpid.upscale(clip, output, on_event=stop_after(1, KeyboardInterrupt()), **options)
    stand_in(monkeypatch, "nvenc", "amf")
    report = limpid.upscale(clip, output, **options)
    assert report.resumed_segments >= 1
    told = json.loads((tmp_path / "out.mp4.limpid.json").read_text())
    assert told["resolved"]["encoder"] == "amf" and told["settings"]["encoder"] == "auto"
    assert frame_pts(output, Fraction(1, 25)) == list(range(40))
    whole = limpid.upscale(clip, tmp_path / "whole.mp4", **{**options, "encoder": "amf"})
    assert whole.resumed_segments == 0 and (tmp_path / "whole.mp4").read_bytes() == output.read_bytes()


def test_another_encoder_begins_anew_and_says_so(
    clip: Path, tmp_path: Path, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "amf")
    output, options = tmp_path / "out.mp4", {"method": "fast", "segment_frames": 10}
    with pytest.raises(Interrupted):
        limpid.upscale(clip, output, encoder="amf", on_event=stop_after(1, KeyboardInterrupt()), **options)
    events: list[dict[str, Any]] = []
    report = limpid.upscale(clip, output, on_event=events.append, **options)
    assert report.resumed_segments == 0
    assert any("output.encoder" in e["message"] for e in events if e["event"] == "warning")


def test_an_encoder_that_is_not_here_is_refused_before_the_work(
    clip: Path, tmp_path: Path, fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    events: list[dict[str, Any]] = []
    with pytest.raises(SettingsError, match="what can: software"):
        limpid.upscale(clip, tmp_path / "out.mp4", method="fast", encoder="vaapi", on_event=events.append)
    assert "scan" not in [e["stage"] for e in events if e["event"] == "stage"] and leftovers(tmp_path) == []
