"""The nodes for ComfyUI, against a stand-in of its interface: see tests/helpers/comfy_stand_in/README.md."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import media
import numpy as np
import pytest
import torch
from fakes import local_method

import limpid
from limpid.cli.main import main
from limpid.methods import METHODS
from limpid.presets import LOOKS
from limpid.settings import Settings, schema
from limpid.types import InputError, SettingsError, Window
from limpid.video import FrameReader, probe, scan

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "integrations" / "comfyui"
STAND_IN = REPOSITORY / "tests" / "helpers" / "comfy_stand_in"
WORKFLOWS = sorted((FOLDER / "example_workflows").glob("*.json"))
EXACT = {"dtype": "float32"}
BUILT_IN = {"LoadVideo": ["VIDEO"], "LoadImage": ["IMAGE", "MASK"], "SaveImage": [], "SaveVideo": []}
"""Nodes of ComfyUI's own in the examples, and what comes out of them."""


@dataclass
class Comfy:
    """ComfyUI with our nodes."""

    base: Path
    nodes: dict[str, Any]
    utils: ModuleType
    model_management: ModuleType
    latest: ModuleType
    module: ModuleType

    def run(self, name: str, **values: Any) -> Any:
        """Runs a node as ComfyUI does: values checked, in a thread of its own, in inference mode."""
        node, done = self.nodes[name], []
        for each in node.define_schema().inputs:
            assert each.optional or each.id in values, f"{name} needs {each.id}"
            assert not (each.is_widget and each.id in values and each.refuses(values[each.id])), each.id

        def work() -> None:
            try:
                with torch.inference_mode():
                    done.append(node.execute(**values))
            except BaseException as error:
                done.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(done[0], BaseException):
            raise done[0]
        return done[0]

    def kept(self) -> list[limpid.Upscaler]:
        return list(sys.modules[f"{self.module.__name__}.running"]._kept)


@pytest.fixture
def comfy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Comfy]:
    monkeypatch.syspath_prepend(STAND_IN)
    import comfy.model_management
    import comfy.utils
    import comfy_api.latest
    import folder_paths

    monkeypatch.setattr(folder_paths, "base", tmp_path)
    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
    # As ComfyUI does: by the path of the folder, whose name need not be one of Python's.
    name = "comfy_nodes_of_limpid"
    spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    extension = asyncio.run(module.comfy_entrypoint())
    nodes = {node.define_schema().node_id: node for node in asyncio.run(extension.get_node_list())}
    yield Comfy(tmp_path, nodes, comfy.utils, comfy.model_management, comfy_api.latest, module)
    theirs = (name, "comfy", "comfy_api", "folder_paths")
    for each in [loaded for loaded in sys.modules if loaded.split(".")[0] in theirs]:
        del sys.modules[each]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """48x32, 12 frames, with sound, in ComfyUI's input folder."""
    path = tmp_path / "film.mp4"
    media.make_video(path, width=48, height=32, frames=12, audio=True)
    return path


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A method "fast" that takes no time; the list gets an entry whenever its network is loaded."""
    counted: list[str] = []

    def make() -> Any:
        method = local_method(name="fast", options=frozenset({"seed", "tile_px", "steps"}))

        def load(placement: Any) -> Any:
            counted.append("loaded")
            return method.load(placement)

        return replace(method, load=load)

    monkeypatch.setitem(METHODS, "fast", make)
    return counted


def pixels_of(path: Path) -> np.ndarray:
    clip = probe(path, fps=Fraction(25) if path.is_dir() else None)
    timeline = scan(clip, detect_cuts=False)
    with FrameReader(clip, timeline) as reader:
        return np.stack([f.pixels for f in reader.read(Window(start=0, stop=timeline.num_frames))])


def images_of(path: Path) -> torch.Tensor:
    """What ComfyUI makes of a film: ``b h w 3`` in [0, 1]."""
    return torch.from_numpy(pixels_of(path)).float() / 255


# ---------------------------------------------------------------------------------------------- the same pixels


def test_a_video_has_the_bytes_of_the_command_line(comfy: Comfy, film: Path, tmp_path: Path) -> None:
    expected = tmp_path / "command.mkv"
    assert main(["upscale", str(film), str(expected), "--codec", "ffv1", "--dtype", "float32", "--quiet"]) == 0
    video = comfy.latest.InputImpl.VideoFromFile(str(film))
    done = comfy.run("LimpidUpscaleVideo", video=video, **EXACT, more='{"codec": "ffv1"}')
    result, path = done.args
    assert Path(path) == tmp_path / "output" / "video" / "limpid_00001_.mkv"
    assert result.get_stream_source() == path
    assert Path(path).read_bytes() == expected.read_bytes()
    (shown,) = done.ui.values
    assert (shown.filename, shown.subfolder, shown.type) == ("limpid_00001_.mkv", "video", "output")


def test_images_have_the_pixels_of_the_command_line(comfy: Comfy, film: Path, tmp_path: Path) -> None:
    assert main(["upscale", str(film), str(tmp_path / "out"), "--codec", "images", "--dtype", "float32"]) == 0
    (images,) = comfy.run("LimpidUpscaleImages", images=images_of(film), **EXACT).args
    assert images.shape == (12, 128, 192, 3) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1
    # A value half way between two steps may be rounded either way.
    assert np.abs(images.numpy() * 255.0 - pixels_of(tmp_path / "out")).max() <= 0.5 + 1e-4


def test_the_path_of_a_file_does_as_well_and_names_are_in_the_input_folder(
    comfy: Comfy, film: Path, tmp_path: Path, loads: list[str]
) -> None:
    shutil.copy(film, tmp_path / "input" / "in.webm")
    for path in (f'"{film}" ', "in.webm"):
        done = comfy.run("LimpidUpscaleVideo", path=path, method="fast", scale=2.0)
        assert probe(done.args[1]).width == 96
    assert sorted(
        each.name for each in (tmp_path / "output" / "video").glob("limpid*_.*") if each.suffix != ".json"
    ) == [
        "limpid_00001_.mp4",
        "limpid_00002_.mkv",
    ]


def test_a_trimmed_video_is_the_part_that_it_shows(comfy: Comfy, film: Path, tmp_path: Path, loads: list[str]) -> None:
    make = comfy.latest.InputImpl.VideoFromFile
    for video, frames in ((make(str(film), start_time=0.08, duration=0.2), 5), (make(str(film), start_time=0.2), 7)):
        path = comfy.run("LimpidUpscaleVideo", video=video, method="fast").args[1]
        assert len(pixels_of(Path(path))) == frames


def test_a_video_in_memory_goes_through_a_file_once(comfy: Comfy, film: Path, tmp_path: Path, loads: list[str]) -> None:
    video = comfy.latest.InputImpl.VideoFromFile(BytesIO(film.read_bytes()))
    for _ in range(2):
        path = comfy.run("LimpidUpscaleVideo", video=video, method="fast").args[1]
        assert len(pixels_of(Path(path))) == 12
    (written,) = (tmp_path / "temp").iterdir()
    assert written.read_bytes() == film.read_bytes()


def test_a_cropped_video_is_not_taken_for_its_whole_file(
    comfy: Comfy, film: Path, tmp_path: Path, loads: list[str]
) -> None:
    class Cropped(comfy.latest.InputImpl.VideoFromFile):  # type: ignore[misc, name-defined]
        def get_dimensions(self) -> tuple[int, int]:
            return 32, 16

        def save_to(self, path: str) -> None:
            media.make_video(Path(path), width=32, height=16, frames=3)

    path = comfy.run("LimpidUpscaleVideo", video=Cropped(str(film)), method="fast").args[1]
    assert pixels_of(Path(path)).shape[:3] == (3, 32, 64)


# ---------------------------------------------------------------------------------------------- running


def test_networks_stay_loaded_over_runs_and_nodes_unless_told_otherwise(
    comfy: Comfy, film: Path, loads: list[str]
) -> None:
    images = images_of(film)[:2]
    comfy.run("LimpidUpscaleVideo", path=str(film), method="fast")
    comfy.run("LimpidUpscaleImages", images=images, method="fast")
    assert loads == ["loaded"]
    comfy.run("LimpidUpscaleImages", images=images, method="fast", keep_loaded=False)
    assert loads == ["loaded"] and comfy.kept() == []
    assert comfy.model_management.unloaded == []
    comfy.run("LimpidUpscaleImages", images=images, method="fast", unload_others=True)
    assert loads == ["loaded", "loaded"] and comfy.model_management.unloaded == ["all"]


def test_progress_grows_to_the_end(comfy: Comfy, film: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.run.events.PROGRESS_INTERVAL_S", 0)
    for name, source in (
        ("LimpidUpscaleVideo", {"path": str(film)}),
        ("LimpidUpscaleImages", {"images": images_of(film)}),
    ):
        comfy.utils.told.clear()
        comfy.run(name, method="fast", **source)
        values = [value for value, total in comfy.utils.told if total == 1000]
        assert len(values) > 2 and values == sorted(values) and values[-1] == 1000


@pytest.mark.parametrize("name", ["LimpidUpscaleVideo", "LimpidUpscaleImages"])
def test_the_button_that_interrupts_stops_within_a_step(
    name: str, comfy: Comfy, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not only where the bar moves, which is not more often than five times a second."""
    steps = 0
    method = local_method(name="slow", steps=50)

    def load(placement: Any) -> Any:
        prior = method.load(placement)
        denoise = prior.denoise

        def counted(*arguments: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == 3:
                comfy.model_management.interrupt_current_processing()
            return denoise(*arguments)

        monkeypatch.setattr(prior, "denoise", counted)
        return prior

    monkeypatch.setitem(METHODS, "slow", lambda: replace(method, load=load))
    source: dict[str, Any] = {"path": str(film)} if "Video" in name else {"images": images_of(film)}
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        comfy.run(name, method="slow", **source)
    assert 3 <= steps <= 4
    assert not comfy.model_management.processing_interrupted(), "the next run would be stopped as well"


def test_an_interrupted_video_goes_on_where_it_was(
    comfy: Comfy, clip: Path, tmp_path: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, Any] = {"path": str(clip), "method": "fast", "more": '{"segment_frames": 4}'}
    with monkeypatch.context() as patch:
        press = comfy.model_management.interrupt_current_processing
        patch.setattr("limpid.run.executor.tell_segment", lambda *told: press())  # one is durable from now on
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            comfy.run("LimpidUpscaleVideo", **values)
    comfy.utils.told.clear()
    path = Path(comfy.run("LimpidUpscaleVideo", **values).args[1])
    assert path.name == "limpid_00001_.mp4"
    assert all(value >= 100 for value, _ in comfy.utils.told), "it began anew"
    whole = tmp_path / "whole.mp4"
    limpid.upscale(clip, whole, method="fast", segment_frames=4)
    assert path.read_bytes() == whole.read_bytes()


def test_networks_loaded_by_a_node_can_be_used_elsewhere(comfy: Comfy, film: Path, loads: list[str]) -> None:
    """ComfyUI's inference mode would leave tensors that nothing else can change."""
    (images,) = comfy.run("LimpidUpscaleImages", images=images_of(film)[:1], method="fast").args
    assert not images.is_inference()
    (upscaler,) = comfy.kept()
    frame = images_of(film)[0].movedim(-1, 0)
    assert torch.equal(upscaler.image(frame, method="fast").movedim(0, -1), images[0])


# ---------------------------------------------------------------------------------------------- widgets


def test_every_widget_shows_a_value_that_leaves_the_choice_to_limpid(comfy: Comfy) -> None:
    for name, node in comfy.nodes.items():
        outline = node.define_schema()
        outline.validate()
        widgets = {each.id: each for each in outline.inputs if each.is_widget}
        assert not [each.id for each in widgets.values() if each.refuses(each.default)], name
        widgets_module = sys.modules[f"{comfy.module.__name__}.widgets"]
        assert widgets_module.chosen({each.id: each.default for each in widgets.values()}) == {}
        assert node.validate_inputs(**{each.id: each.default for each in widgets.values()}) is True


def test_widgets_are_limpids_options_and_the_rest_is_json(comfy: Comfy) -> None:
    chosen = sys.modules[f"{comfy.module.__name__}.widgets"].chosen
    values = {"scale": 2.5, "detail": 0.0, "steps": 4, "height": 0, "preset_look": "film", "more": '{"crf": 3}'}
    assert chosen(values) == {"scale": 2.5, "detail": 0.0, "steps": 4, "preset_look": "film", "crf": 3}
    assert chosen({"detail": 0.5, "more": '{"detail": 1}'}) == {"detail": 1}
    with pytest.raises(SettingsError, match="more is no JSON"):
        chosen({"more": "{color: wavelet}"})
    with pytest.raises(SettingsError, match="object"):
        chosen({"more": "[1]"})
    inputs = {each.id: each for each in comfy.nodes["LimpidUpscaleVideo"].define_schema().inputs}
    assert set(METHODS) <= set(inputs["method"].options) and set(LOOKS) <= set(inputs["preset_look"].options)
    options = set(inputs) & set(Settings().to_dict())
    assert len(options) >= 10 and all(
        inputs[name].tooltip.startswith(schema()["properties"][name]["description"]) for name in options
    )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"prompt": "a street"}, "prompt has no effect"),
        ({"more": '{"speed": 3}'}, "not an option"),
        ({"more": "{"}, "no JSON"),
        ({"scale": 2.0, "height": 720}, "not both"),
        ({"preset_look": "film", "method": "sd-x4-upscaler"}, "preset film does not fit"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(comfy: Comfy, values: dict[str, Any], says: str) -> None:
    for node in comfy.nodes.values():
        assert says in node.validate_inputs(**values)
        assert node.validate_inputs(**values, seed=None) is True, "what comes from another node is not known yet"


def test_exactly_one_video_is_needed(comfy: Comfy, film: Path) -> None:
    video = comfy.latest.InputImpl.VideoFromFile(str(film))
    for values in ({}, {"video": video, "path": str(film)}):
        with pytest.raises(InputError, match="one of the two"):
            comfy.run("LimpidUpscaleVideo", **values)
    with pytest.raises(InputError, match=r"none\.mp4"):
        comfy.run("LimpidUpscaleVideo", path="none.mp4")


def test_a_file_that_changed_is_upscaled_again(comfy: Comfy, film: Path, tmp_path: Path) -> None:
    node = comfy.nodes["LimpidUpscaleVideo"]
    assert node.fingerprint_inputs(path=str(film)) == film.stat().st_mtime
    assert node.fingerprint_inputs(path=f' "{film}"') == film.stat().st_mtime
    assert node.fingerprint_inputs(path="", seed=1) is None and node.fingerprint_inputs(path=None) is None
    assert node.fingerprint_inputs(path="none.mp4") is None


def test_nothing_is_written_outside_of_the_output_folder(comfy: Comfy, film: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        comfy.run("LimpidUpscaleVideo", path=str(film), filename_prefix="../film")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "input", "output", "temp"]


def test_images_may_be_shots_or_unrelated(comfy: Comfy, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def frames(self: Any, given: Any, *, cuts: list[int], **options: Any) -> Any:
        seen.append(cuts)
        return given

    monkeypatch.setattr(limpid.Upscaler, "frames", frames)
    for cuts in ("", "2, 5", "all"):
        comfy.run("LimpidUpscaleImages", images=images_of(film), cuts=cuts)
    assert seen == [[], [2, 5], list(range(1, 12))]
    with pytest.raises(SettingsError, match="cuts is 'two'"):
        comfy.run("LimpidUpscaleImages", images=images_of(film), cuts="two")


# ---------------------------------------------------------------------------------------------- what comes with it


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_example_workflows_fit_the_nodes(path: Path, comfy: Comfy) -> None:
    workflow = json.loads(path.read_text())
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}
    assert (
        workflow["version"] == 0.4 and max(nodes) == workflow["last_node_id"] and max(links) == workflow["last_link_id"]
    )
    for number, source, slot, target, place, kind in workflow["links"]:
        assert number in nodes[source]["outputs"][slot]["links"] and nodes[target]["inputs"][place]["link"] == number
        assert nodes[source]["outputs"][slot]["type"] == nodes[target]["inputs"][place]["type"] == kind
    ours = [node for node in nodes.values() if node["type"] in comfy.nodes]
    assert ours and all(node["type"] in {*comfy.nodes, *BUILT_IN} for node in nodes.values())
    for node in nodes.values():
        if node["type"] in BUILT_IN:
            assert [output["type"] for output in node.get("outputs", [])] == BUILT_IN[node["type"]]
            continue
        outline = comfy.nodes[node["type"]].define_schema()
        # as ComfyUI orders them: what is required comes first
        widgets = sorted((each for each in outline.inputs if each.is_widget), key=lambda each: each.optional)
        assert len(node["widgets_values"]) == len(widgets)
        for widget, value in zip(widgets, node["widgets_values"], strict=True):
            assert not widget.refuses(value) and isinstance(value, type(widget.default)), widget.id
        sockets = [(each.id, each.io_type) for each in outline.inputs if not each.is_widget]
        assert [(each["name"], each["type"]) for each in node["inputs"]] == sockets
        assert [each["type"] for each in node["outputs"]] == [each.io_type for each in outline.outputs]


def test_there_is_an_example_of_each_node() -> None:
    assert len(WORKFLOWS) == 2


def test_what_the_registry_reads() -> None:
    about = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert about["project"]["version"] == limpid.__version__
    assert about["project"]["dependencies"] == [f"limpid-video>={limpid.__version__}"]
    assert about["tool"]["comfy"]["PublisherId"] and about["tool"]["comfy"]["DisplayName"] == "Limpid"
