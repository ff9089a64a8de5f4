"""Results that are images: one or a folder of them, with the names and the tags of what they were made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from limpid.types import Clip, OutputError, OutputSpec, SideStream, Timeline, Window
from limpid.video.image_tags import ImageTags, read_tags, what_is_lost
from limpid.video.names import is_still_name
from limpid.video.stills import Growing, assemble_image, assemble_images, is_single, kept_names


def assemble_pictures(
    segments: Sequence[Path],
    output: Path,
    spec: OutputSpec,
    clip: Clip,
    timeline: Timeline,
    part: Window,
    place: Growing,
    on_progress: Callable[[int], None] | None,
) -> None:
    """Images under the names of those that they were made from, with their profile and EXIF."""
    sources = [clip.image_paths[timeline.pts[n]] for n in range(part.start, part.stop)] if clip.image_paths else []
    sources = sources or _still_of(clip)

    def tags(number: int) -> ImageTags:
        return read_tags(sources[number]) if number < len(sources) else ImageTags()

    if is_single(output, spec):
        if len(segments) != 1 or len(part) != 1:
            raise OutputError(f"{output} is one image, and there are {len(part)} frames: give the name of a folder")
        assemble_image(segments[0], output, tags=tags(0), place=place)
    else:
        assemble_images(
            segments,
            output,
            first_frame=part.start,
            expected=len(part),
            place=place,
            names=kept_names(sources, spec.image_format) if Path(clip.path).is_dir() else None,
            tags=tags,
            on_progress=on_progress,
        )


def _still_of(clip: Clip) -> list[str]:
    """A single picture that FFmpeg reads as a film of one frame, as HEIC."""
    return [clip.path] if is_still_name(Path(clip.path)) else []


def _without_stream(stream: SideStream) -> str:
    if stream.kind == "video":
        return f"video stream {stream.index} is not carried over: only the main one is restored"
    return f"{stream.kind} stream {stream.index} is not carried over: images have no place for it"


def without_place(clip: Clip, spec: OutputSpec) -> tuple[str, ...]:
    """What images cannot hold of their source; and of images what no film can hold."""
    return (*map(_without_stream, clip.side_streams), *lost_of_pictures(clip, spec))


def lost_of_pictures(clip: Clip, spec: OutputSpec) -> list[str]:
    """Sentences on tags of single pictures that the output has no place for."""
    pictures = clip.image_paths or _still_of(clip)
    kind = spec.image_format if spec.codec == "images" else spec.container
    return what_is_lost(read_tags(pictures[0]), kind) if pictures else []
