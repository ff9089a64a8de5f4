"""Stand-in of ``comfy_api.latest.ui``: what a node shows."""

from dataclasses import dataclass

from comfy_api.latest.io import FolderType


@dataclass(frozen=True)
class SavedResult:
    filename: str
    subfolder: str
    type: FolderType


@dataclass(frozen=True)
class PreviewVideo:
    values: list[SavedResult]
