"""What gets installed: the contents of the wheel, and constraints that are complete."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

import limpid

REPOSITORY = Path(__file__).resolve().parent.parent


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonical(name): version.strip() for name, version in pairs}


def project() -> Any:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_weights_and_types_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "limpid/py.typed" in names
    assert "limpid/weights/tiny.safetensors" in names
    assert {name.split("/")[0] for name in names} == {"limpid", f"limpid_video-{limpid.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".mp4", ".png"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)


def test_the_weights_are_small(wheel: zipfile.ZipFile) -> None:
    for name in ("tiny", "tiny_vivid", "tiny_clean", "tiny_vivid_clean"):
        assert wheel.getinfo(f"limpid/weights/{name}.safetensors").file_size <= 8_000_000
    assert Path(str(wheel.filename)).stat().st_size <= 16_000_000


def test_every_module_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    source = REPOSITORY / "src"
    assert {str(path.relative_to(source)) for path in source.rglob("*.py")} <= set(wheel.namelist())


def test_the_pages_are_in_the_wheel_with_all_their_files(wheel: zipfile.ZipFile) -> None:
    source = REPOSITORY / "src"
    wanted = {path.relative_to(source) for kind in ("html", "css", "js", "svg") for path in source.rglob(f"*.{kind}")}
    assert {str(path) for path in wanted} <= set(wheel.namelist())
    assert {f"limpid/bench/compare/page.{kind}" for kind in ("html", "css", "js")} <= set(wheel.namelist())


def test_the_command_is_installed(wheel: zipfile.ZipFile) -> None:
    entry = wheel.read(f"limpid_video-{limpid.__version__}.dist-info/entry_points.txt").decode()
    assert "limpid = limpid.cli.main:run" in entry


def test_versions_agree() -> None:
    assert "version" in project()["dynamic"]  # hatchling reads it from limpid/__init__.py
    assert f"## {limpid.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()
    assert f"TORCH := torch=={constraints()['torch']}\n" in (REPOSITORY / "Makefile").read_text()


def test_every_requirement_has_an_exact_version() -> None:
    wanted = [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]
    wanted = [*wanted, *project()["optional-dependencies"]["models"]]
    names = {canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in wanted}  # type: ignore[index]
    assert names - {"limpid-video"} <= set(constraints())


def test_what_must_not_be_installed_is_not() -> None:
    """Beside a CPU build of torch these fail, and then diffusers fails with them."""
    assert not {"torchvision", "torchcodec", "scenedetect", "opencv-python", "pyiqa"} & set(constraints())


def test_every_package_that_ours_need_is_pinned() -> None:
    """Walks the requirements of what is installed here; extras and other systems left out."""
    installed = {canonical(name) for names in packages_distributions().values() for name in names}
    seen: set[str] = set()
    todo = [canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in project()["dependencies"]]  # type: ignore[index]
    while todo:
        name = todo.pop()
        if name in seen or name not in installed:
            continue
        seen.add(name)
        needs = [need for need in distribution(name).requires or [] if "extra ==" not in need]
        todo += [canonical(re.match(r"[\w.-]+", need)[0]) for need in needs]  # type: ignore[index]
    # CUDA packages are pinned by torch itself, where its build needs them
    ours = {name for name in seen if not name.startswith(("nvidia-", "cuda-", "triton"))}
    assert ours <= set(constraints())
