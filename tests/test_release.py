"""The files of a release say the same as the package: names, versions, and what the workflows call exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent


def workflow(name: str) -> Any:
    return yaml.safe_load((REPOSITORY / ".github" / "workflows" / name).read_text())


def test_the_wheel_is_tried_with_every_python_that_the_package_names() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    named = {line.rsplit(" ", 1)[1] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)}
    matrix = workflow("check.yml")["jobs"]["wheel"]["strategy"]["matrix"]
    assert set(matrix["python"]) == named
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


@pytest.mark.parametrize("name", ["check.yml", "release.yml"])
def test_workflows_call_what_is_here(name: str) -> None:
    text = (REPOSITORY / ".github" / "workflows" / name).read_text()
    for path in re.findall(r"(?:python|bash|file:|uses: \./) ?((?:scripts|\.ci|docker|\.github)/[\w./-]+)", text):
        assert (REPOSITORY / path).exists(), path


def test_the_images_hold_the_tested_torch_and_are_built() -> None:
    dockerfile = (REPOSITORY / "docker" / "Dockerfile").read_text()
    (torch,) = re.findall(r"^torch==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert set(re.findall(r'"torch==([\d.]+)', dockerfile)) == {torch}
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE))
    assert set(workflow("release.yml")["jobs"]["image"]["strategy"]["matrix"]["flavour"]) <= stages
    assert dockerfile.count("USER 1000:1000") == 2
    extras = set(re.findall(r"\[([\w,]+)\]\"", dockerfile))
    known = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name for group in extras for name in group.split(",")} <= set(known)


def test_publishing_waits_for_every_check() -> None:
    jobs = workflow("release.yml")["jobs"]
    assert jobs["publish"]["needs"] == jobs["image"]["needs"] == "check"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
