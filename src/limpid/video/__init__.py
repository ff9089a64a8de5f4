"""Video in and out: the only part of Limpid that imports PyAV. Names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.lazy import names_of

if TYPE_CHECKING:
    from limpid.video.choice import choose_encoder as choose_encoder
    from limpid.video.choice import hardware_encoders as hardware_encoders
    from limpid.video.encode import picture_depth as picture_depth
    from limpid.video.images import list_images as list_images
    from limpid.video.inline import inline_mp4 as inline_mp4
    from limpid.video.names import IMAGE_SUFFIXES as IMAGE_SUFFIXES
    from limpid.video.names import VIDEO_SUFFIXES as VIDEO_SUFFIXES
    from limpid.video.names import is_image_name as is_image_name
    from limpid.video.names import is_still_name as is_still_name
    from limpid.video.names import natural_key as natural_key
    from limpid.video.output import header_digest as header_digest
    from limpid.video.picture import merge_planes as merge_planes
    from limpid.video.picture import quantise as quantise
    from limpid.video.picture import rounded_values as rounded_values
    from limpid.video.probing import probe as probe
    from limpid.video.probing import rate_varies as rate_varies
    from limpid.video.read import FrameReader as FrameReader
    from limpid.video.rehearsal import rehearse as rehearse
    from limpid.video.scanning import scan as scan
    from limpid.video.tensors import alpha_of as alpha_of
    from limpid.video.tensors import to_tensor as to_tensor

_HOME = {
    "available_encoders": ".available",
    "choose_encoder": ".choice",
    "hardware_encoders": ".choice",
    # input
    "probe": ".probing",
    "rate_varies": ".probing",
    "scan": ".scanning",
    "FrameReader": ".read",
    "to_tensor": ".tensors",
    "alpha_of": ".tensors",
    "list_images": ".images",
    "IMAGE_SUFFIXES": ".names",
    "VIDEO_SUFFIXES": ".names",
    "is_image_name": ".names",
    "is_still_name": ".names",
    "natural_key": ".names",
    # output
    "resolve_output": ".output",
    "segment_spec": ".output",
    "header_digest": ".output",
    "SegmentWriter": ".segments",
    "picture_depth": ".encode",
    "quantise": ".picture",
    "rounded_values": ".picture",
    "merge_planes": ".picture",
    "count_frames": ".segments",
    "frame_pts": ".segments",
    "rehearse": ".rehearsal",
    "assemble": ".mux",
    "check_spec": ".mux",
    "inline_mp4": ".inline",
}

__all__ = list(_HOME)

__getattr__ = names_of(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(_HOME)
