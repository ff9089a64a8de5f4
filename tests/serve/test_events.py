"""Events reach every listener once, in order and without a gap, also those who come back later."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import serving
from serving import Client, film


def ends(job: str) -> Any:
    return lambda name, data: name == "job" and data["id"] == job and data["state"] in ("done", "failed")


def numbers(events: list[tuple[str, Any, int | None]]) -> list[int]:
    return [number for _, _, number in events if number is not None]


def test_a_listener_sees_a_job_from_its_creation_to_its_end(client: Client, films: Path) -> None:
    with client.events() as stream:
        assert stream.next()[0] == "hello"
        job = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
        seen = stream.until(ends(job))
    states = [data["state"] for name, data, _ in seen if name == "job"]
    assert [state for state, _ in itertools.groupby(states)] == ["queued", "running", "done"]
    assert [data["index"] for name, data, _ in seen if name == "segment"] == [0, 1, 2]
    assert numbers(seen) == list(range(numbers(seen)[0], numbers(seen)[0] + len(numbers(seen))))
    assert seen[-1][1]["result"]["exists"]


def test_who_comes_back_gets_what_was_missed(client: Client, films: Path) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
    client.wait(job)
    with client.events("/events?after=0") as stream:
        every = stream.until(ends(job))
    last = numbers(every)[3]
    with client.events(Last_Event_ID=str(last)) as stream:
        assert numbers(stream.until(ends(job))) == [number for number in numbers(every) if number > last]


def test_replay_outlives_the_server(tmp_path: Path, films: Path) -> None:
    config = serving.fake_config(tmp_path / "state", films)
    with serving.running_server(config) as client:
        job = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
        client.wait(job)
        with client.events("/events?after=0") as stream:
            before = numbers(stream.until(ends(job)))
    with serving.running_server(config) as client, client.events("/events?after=0") as stream:
        assert numbers(stream.until(ends(job))) == before


def test_one_job_can_be_followed(client: Client, films: Path) -> None:
    other, job = (client.post("/jobs", {"input": film(films / f"{name}.mp4")}).json["id"] for name in "ab")
    with client.events(f"/jobs/{job}/events?after=0") as stream:
        seen = stream.until(ends(job))
    assert {data["id"] for name, data, _ in seen if name in ("job", "segment", "progress")} == {job}
    client.wait(other)
    assert client.get("/jobs/nix/events").status == 404


def test_who_was_away_too_long_is_told_to_begin_anew(
    tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpid.serve.database._PRUNE_EVERY", 10)
    with serving.running_server(serving.fake_config(tmp_path / "state", films, limits={"events": 20})) as client:
        for number in range(40):
            client.put(f"/presets/p{number}", {"settings": {}})
        with client.events("/events?after=1") as stream:
            assert stream.next()[0] == "reset"
            assert stream.next()[0] == "hello"
        with client.events("/events?after=35") as stream:
            assert [stream.next()[2] for _ in range(3)] == [None, 36, 37]


def test_a_number_from_the_future_begins_anew(client: Client) -> None:
    with client.events("/events?after=99999") as stream:
        assert stream.next()[0] == "reset"


def test_a_flood_of_progress_is_thinned_out(client: Client, films: Path) -> None:
    with client.events() as stream:
        job = client.post("/jobs", {"input": film(films / "a.mp4", flood=20_000)}).json["id"]
        seen = stream.until(ends(job))
    assert sum(name == "progress" for name, _, _ in seen) < 50
