"""Stand-in of ``folder_paths``: ComfyUI's folders, and how it names what it writes."""

import re
from pathlib import Path

base = Path()
"""Set by tests."""


def get_output_directory() -> str:
    return str(base / "output")


def get_temp_directory() -> str:
    return str(base / "temp")


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    """A name in the input folder; whole paths stay what they are."""
    return str(base / "input" / name)


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """Folder, name, next free number, subfolder, and the prefix."""
    folder = Path(output_dir, filename_prefix).parent
    if not folder.resolve().is_relative_to(Path(output_dir).resolve()):
        raise ValueError(f"{folder} is outside of the output folder")
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(filename_prefix).name
    found = [re.match(rf"{re.escape(name)}_(\d+)_", path.name) for path in folder.iterdir()]
    number = 1 + max((int(match[1]) for match in found if match), default=0)
    return str(folder), name, number, str(Path(filename_prefix).parent), filename_prefix
