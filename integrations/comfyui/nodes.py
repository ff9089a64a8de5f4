"""The nodes: "Limpid Upscale Video" works from file to file in bounded memory, "Limpid Upscale Images" on a batch.

They only translate: what they compute is `limpid.Upscaler`, so the pixels are those of the command line.
"""

from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import ComfyExtension, Input, InputImpl, io, ui
from torch import Tensor

import limpid
from limpid.run.places import default_output, kind_of
from limpid.types import LimpidError, SettingsError

from .running import ComfyStop, telling, upscaler
from .sources import path_of, source_of
from .widgets import chosen, inputs_of_settings

CATEGORY = "Limpid"
CONTAINERS = ("auto", "mp4", "mkv", "mov")


class LimpidUpscaleVideo(io.ComfyNode):
    """A video file in, a video file in ComfyUI's output folder out, with its sound, subtitles and timestamps."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LimpidUpscaleVideo",
            display_name="Limpid Upscale Video",
            category=CATEGORY,
            description="Makes a video larger and better, from file to file: any length in bounded memory. "
            "A run that was stopped goes on where it was.",
            inputs=[
                io.Video.Input("video", optional=True, tooltip="a video; or write a path instead"),
                io.String.Input("path", default="", optional=True, tooltip="file, or name in ComfyUI's input folder"),
                io.String.Input(
                    "filename_prefix", default="video/limpid", optional=True, tooltip="in the output folder"
                ),
                io.Combo.Input(
                    "container", options=list(CONTAINERS), default="auto", optional=True, tooltip="of the file"
                ),
                *inputs_of_settings(),
                *_inputs_of_memory(),
            ],
            outputs=[io.Video.Output("upscaled", display_name="video"), io.String.Output("file", display_name="path")],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, **values: Any) -> bool | str:
        return refusal(values) or True

    @classmethod
    def fingerprint_inputs(cls, path: str | None = "", **values: Any) -> Any:
        """A file that was changed is upscaled again. ``path`` is None where it comes from another node."""
        file = path_of(path)
        return file.stat().st_mtime if file is not None and file.is_file() else None

    @classmethod
    def execute(
        cls,
        video: Input.Video | None = None,
        path: str = "",
        filename_prefix: str = "video/limpid",
        container: str = "auto",
        keep_loaded: bool = True,
        unload_others: bool = False,
        **values: Any,
    ) -> io.NodeOutput:
        with upscaler(keep_loaded=keep_loaded, unload_others=unload_others) as loaded:
            source, part = source_of(video, path)
            options = {**part, **chosen(values)}
            folder, name, subfolder = _place(filename_prefix, _suffix(source, container, options))
            report = loaded.film(source, Path(folder) / name, on_event=telling(), stop=ComfyStop(), **options)
        shown = ui.PreviewVideo([ui.SavedResult(name, subfolder, io.FolderType.output)])
        return io.NodeOutput(InputImpl.VideoFromFile(str(report.output)), str(report.output), ui=shown)


class LimpidUpscaleImages(io.ComfyNode):
    """A batch of images in, the same number out; a clip, or unrelated pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LimpidUpscaleImages",
            display_name="Limpid Upscale Images",
            category=CATEGORY,
            description="Makes images larger and better; a batch is taken as the frames of a clip.",
            inputs=[
                io.Image.Input("images"),
                io.Float.Input(
                    "fps", default=25.0, min=0.01, max=1000.0, step=0.01, optional=True, tooltip="of the clip"
                ),
                io.String.Input(
                    "cuts",
                    default="",
                    optional=True,
                    tooltip="numbers of the images with which a new shot begins, as 15, 40; all: unrelated pictures",
                ),
                *inputs_of_settings(),
                *_inputs_of_memory(),
            ],
            outputs=[io.Image.Output("upscaled", display_name="images")],
        )

    @classmethod
    def validate_inputs(cls, **values: Any) -> bool | str:
        return refusal(values) or True

    @classmethod
    def execute(
        cls,
        images: Tensor,
        fps: float = 25.0,
        cuts: str = "",
        keep_loaded: bool = True,
        unload_others: bool = False,
        **values: Any,
    ) -> io.NodeOutput:
        """``images``: ``b h w c`` in [0, 1]."""
        with upscaler(keep_loaded=keep_loaded, unload_others=unload_others) as loaded:
            frames = (image.movedim(-1, 0).clone() for image in images)
            shots, told = _starts(cuts, len(images)), telling(len(images))
            restored = loaded.frames(frames, fps=fps, cuts=shots, on_event=told, stop=ComfyStop(), **chosen(values))
            return io.NodeOutput(_batch(restored, len(images)))


class LimpidExtension(ComfyExtension):
    """What ComfyUI asks for its nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [LimpidUpscaleVideo, LimpidUpscaleImages]


async def comfy_entrypoint() -> LimpidExtension:
    return LimpidExtension()


def refusal(values: dict[str, Any]) -> str | None:
    """Why the values of a node's widgets cannot be, said before anything is computed; None where nothing is known.

    ComfyUI hands over None for what comes from another node.
    """
    if None in values.values():
        return None
    try:
        limpid.Upscaler(**chosen(values)).close()
    except LimpidError as error:
        return str(error)
    return None


def _inputs_of_memory() -> list[io.Input]:
    return [
        io.Boolean.Input(
            "keep_loaded",
            default=True,
            optional=True,
            tooltip="Limpid's networks stay in memory for the next run",
            extra_dict={"advanced": True},
        ),
        io.Boolean.Input(
            "unload_others",
            default=False,
            optional=True,
            tooltip="ComfyUI's own models leave the GPU first: for large methods",
            extra_dict={"advanced": True},
        ),
    ]


def _suffix(source: str, container: str, options: dict[str, Any]) -> str:
    """The ending of the output; auto: as the command line would choose."""
    if container != "auto":
        return f".{container}"
    settings = limpid.Settings(codec=options.get("codec"))
    ending = default_output(Path(source), settings, kind=kind_of(Path(source))).suffix
    return ending if ending.removeprefix(".") in CONTAINERS else ".mp4"


def _place(prefix: str, suffix: str) -> tuple[str, str, str]:
    """Folder, name and subfolder of an output that is not there yet, as ComfyUI names its own."""
    folder, name, number, subfolder, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory())
    return folder, f"{name}_{number:05}_{suffix}", subfolder


def _starts(cuts: str, count: int) -> list[int]:
    """The numbers of images with which a new shot begins. Raises SettingsError."""
    if cuts.strip() == "all":
        return list(range(1, count))
    try:
        return [int(number) for number in cuts.split(",") if number.strip()]
    except ValueError:
        raise SettingsError(f"cuts is {cuts!r}; write numbers of images, as 15, 40, or all") from None


def _batch(restored: Any, count: int) -> Tensor:
    """Frames ``3 H W`` one after the other -> ``b H W 3``, without holding them twice."""
    batch: Tensor | None = None
    for index, frame in enumerate(restored):
        if batch is None:
            batch = torch.empty(count, *frame.shape[1:], 3)
        batch[index] = frame.movedim(0, -1)
    return torch.empty(0, 0, 0, 3) if batch is None else batch
