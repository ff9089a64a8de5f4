"""The interface keeps to its own OpenAPI document, whatever it is sent; ``LIMPID_FUZZ_CASES``: requests per path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from serving import HOST, Answer, Client, film

schemathesis = pytest.importorskip("schemathesis")
requests = pytest.importorskip("requests")

from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.core.transport import Response  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CASES = int(os.environ.get("LIMPID_FUZZ_CASES", "2"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
STREAMS = ("/api/v1/events", "/api/v1/jobs/{job}/events")
"""They do not end; tests of their own read them."""


def send(client: Client, case: Any) -> Answer:
    """A generated request over the socket. What HTTP itself cannot carry is left out."""
    query = f"?{urlencode(case.query, doseq=True)}" if case.query else ""
    headers = {name: value for name, value in (case.headers or {}).items() if _can_be_sent(name, value)}
    body = case.body if isinstance(case.body, bytes) else None
    if body is None and type(case.body).__name__ != "NotSet":
        body = json.dumps(case.body).encode()
    kind = {"Content-Type": case.media_type} if case.media_type else {}
    return client.call(case.method, case.formatted_path + query, body, {**headers, **kind, "Host": HOST})


def _can_be_sent(name: str, value: object) -> bool:
    plain = isinstance(value, str) and value.isprintable() and value.isascii()
    return plain and name.lower() not in ("host", "content-type", "content-length", "transfer-encoding", "origin")


def as_response(case: Any, answer: Answer) -> Any:
    request = requests.Request(case.method, f"http://{HOST}{case.formatted_path}").prepare()
    headers = {name: [value] for name, value in answer.headers.items()}
    return Response(answer.status, headers, answer.body, request, 0.1, verify=False)


def operations(client: Client) -> list[Any]:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json)
    found = [each.ok() for each in schema.get_all_operations()]
    return [each for each in found if each.path not in STREAMS]


def fuzz(client: Client, operation: Any, known: dict[str, str], cases: int) -> int:
    """Send generated requests, every second one about things that exist; returns how many."""
    sent = 0

    @settings(max_examples=cases, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=operation.as_strategy())
    def send_one(case: Any) -> None:
        nonlocal sent
        sent += 1
        if sent % 2:
            case.path_parameters = {
                **case.path_parameters,
                **{n: v for n, v in known.items() if n in case.path_parameters},
            }
        answer = send(client, case)
        assert answer.status < 500, (case.method, case.formatted_path, case.query, case.body, answer.body)
        case.validate_response(as_response(case, answer), checks=CHECKS)

    send_one()
    return sent


@pytest.mark.slow
def test_every_path_keeps_to_the_document(client: Client, films: Path) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
    client.wait(job)
    upload = client.post("/uploads", {"name": "a.mp4", "size": 10**6}).json["id"]
    known = {"job": job, "upload": upload, "kind": "comparison", "name": "video.mp4"}
    found = operations(client)
    assert len(found) >= 35
    sent = sum(fuzz(client, operation, known, CASES) for operation in found)
    assert sent >= min(len(found), 35)
    print(f"{sent} requests to {len(found)} operations")
    assert client.get("/health").status == 200
