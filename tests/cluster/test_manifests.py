"""The manifests for Kubernetes: YAML that names the fields of KubeRay, and commands that Limpid takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from limpid.cli.options import given_settings
from limpid.cli.parser import parse
from limpid.cli.upscale import make_parser
from limpid.settings import Settings

yaml = pytest.importorskip("yaml")


@pytest.fixture
def manifests(repository: Path) -> dict[str, Any]:
    """The documents of examples/kubernetes by their kind."""
    texts = [path.read_text() for path in sorted((repository / "examples" / "kubernetes").glob("*.yaml"))]
    found = [document for text in texts for document in yaml.safe_load_all(text)]
    return {document["kind"]: document for document in found}


def test_the_cluster_has_a_head_that_sees_films_and_workers_that_do_not(manifests: dict[str, Any]) -> None:
    cluster = manifests["RayCluster"]
    assert cluster["apiVersion"] == "ray.io/v1"
    spec = cluster["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    head, (group,) = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for each in (head, group):
        (container,) = each["template"]["spec"]["containers"]
        volumes = {volume["name"] for volume in each["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert container["resources"]["limits"] == container["resources"]["requests"]
    worker = group["template"]["spec"]["containers"][0]
    assert worker["image"] == head["template"]["spec"]["containers"][0]["image"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "films" not in {mount["name"] for mount in worker["volumeMounts"]}
    assert {"name": "TMPDIR", "value": "/work"} in worker["env"]


def test_the_job_is_a_command_on_that_cluster(manifests: dict[str, Any]) -> None:
    job, cluster = manifests["RayJob"], manifests["RayCluster"]
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    program, command, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("limpid", "upscale")
    settings = Settings().replace(**given_settings(parse(make_parser(), words)))
    assert settings.cluster == "auto"
