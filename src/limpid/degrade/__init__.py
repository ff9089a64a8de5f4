"""What happens to real footage: blur, downscaling, noise and compression; and clips made from photos."""

from limpid.degrade.camera import CameraPath, photo_clip
from limpid.degrade.simple import Degradation, degrade

__all__ = ["CameraPath", "Degradation", "degrade", "photo_clip"]
