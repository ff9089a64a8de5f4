"""Faults: whatever is killed, locked or set back, every job is made once, and what was finished is not made again."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import serving
from serving import Client, Killable, film

from limpid.serve.database import Database
from limpid.serve.processes import is_free

KILLS = 5


@pytest.fixture
def killable(tmp_path: Path) -> Killable:
    return Killable(tmp_path)


def segments(films: Path, name: str = "a") -> int:
    return len(list((films / f".{name}_x4.mp4.limpid").glob("*.seg")))


@pytest.mark.slow
def test_a_job_goes_on_after_the_server_was_killed(killable: Killable) -> None:
    client = killable.start()
    job = client.post("/jobs", {"input": film(killable.root / "a.mp4", segments=40, delay_s=0.05)}).json["id"]
    serving.until(lambda: segments(killable.root) >= 3)
    killable.kill()
    serving.until(lambda: is_free(killable.state / "jobs" / job))  # nothing goes on unseen
    kept = segments(killable.root)
    assert 3 <= kept < 40
    client = killable.start()
    done = client.wait(job)
    assert (done["attempt"], done["segments"]) == (2, {"done": 40, "of": 40})
    assert (killable.root / "a_x4.mp4.made").read_text() == "made\n"
    assert killable.stop() == 0


@pytest.mark.slow
def test_random_kills_lose_and_double_nothing(killable: Killable) -> None:
    rng, client = random.Random(3), killable.start()
    jobs = [
        client.post("/jobs", {"input": film(killable.root / f"{n}.mp4", segments=12, delay_s=0.04)}).json["id"]
        for n in range(3)
    ]
    for _ in range(KILLS):
        time.sleep(rng.uniform(0, 0.4))
        killable.kill()
        client = killable.start()
    for job in jobs:
        assert client.wait(job, "done", "failed")["state"] == "done"
    for number in range(3):
        assert (killable.root / f"{number}_x4.mp4.made").read_text() == "made\n"
    killable.stop()


def group_of(folder: Path) -> int:
    return int((folder / "lock").read_text())


def test_a_job_that_is_killed_goes_on_and_the_others_do_not_notice(client: Client, films: Path, tmp_path: Path) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4", segments=60, delay_s=0.04)}).json["id"]
    serving.until(lambda: segments(films) >= 2)
    os.killpg(group_of(tmp_path / "state" / "jobs" / job), signal.SIGKILL)
    done = client.wait(job)
    assert done["attempt"] == 2
    assert (films / "a_x4.mp4.made").read_text() == "made\n"


def test_a_runner_that_is_killed_alone_leaves_no_job_behind(client: Client, films: Path, tmp_path: Path) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4", segments=60, delay_s=0.04)}).json["id"]
    serving.until(lambda: segments(films) >= 2)
    os.kill(group_of(tmp_path / "state" / "jobs" / job), signal.SIGKILL)  # the runner leads the group
    client.wait(job)
    assert (films / "a_x4.mp4.made").read_text() == "made\n"


def test_a_job_that_is_killed_again_and_again_fails_with_a_sentence(client: Client, films: Path) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4", suicide=True)}).json["id"]
    failed = client.wait(job, "failed")
    assert failed["error"]["message"].startswith("the process was killed 3 times in a row by SIGKILL")


def test_a_locked_database_is_waited_for_and_told(
    client: Client, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4", segments=5, delay_s=0.1)}).json["id"]
    other = sqlite3.connect(tmp_path / "state" / "queue.sqlite3", check_same_thread=False, isolation_level=None)
    serving.until(lambda: client.state(job) == "running")
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(1.0, other.rollback).start()
    assert client.get("/jobs").status == 200  # who only looks does not wait
    assert client.post("/jobs", {"input": film(films / "b.mp4")}).status == 201
    client.wait(job)


def test_a_database_that_stays_locked_is_told(tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.serve.database._LOCK_WAIT_S", 0.05)
    with serving.running_server(serving.fake_config(tmp_path / "state", films)) as client:
        other = sqlite3.connect(tmp_path / "state" / "queue.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = client.post("/jobs", {"input": film(films / "a.mp4")})
        other.rollback()
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "busy", "5")
        client.wait(client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"])


def test_a_clock_that_is_set_back_changes_no_order(
    client: Client, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.patch("/queue", {"paused": True})
    first = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
    now = time.time()
    monkeypatch.setattr("limpid.serve.changes.time.time", lambda: now - 86400)
    second = client.post("/jobs", {"input": film(films / "b.mp4")}).json["id"]
    assert client.get("/queue").json["order"] == [first, second]
    assert [job["id"] for job in client.get("/jobs").json["jobs"]] == [second, first]
    client.patch("/queue", {"paused": False})
    client.wait(second)
    client.wait(first)


def test_a_result_that_was_not_told_any_more_is_found(tmp_path: Path, films: Path) -> None:
    """Killed between giving the result its name and saying so: the job is done, its own output no obstacle."""
    config = serving.fake_config(tmp_path / "state", films)
    with serving.running_server(config) as client:
        job = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
        client.wait(job)
    events = config.state / "jobs" / job / "events-1.jsonl"
    events.write_text("".join(line for line in events.open() if '"done"' not in line.split(",")[0]))
    (config.state / "jobs" / job / "exit-1.json").unlink()
    database = sqlite3.connect(config.state / "queue.sqlite3")
    database.execute("UPDATE jobs SET state = 'running', told = 0, facts = '{}'")
    database.commit()
    with serving.running_server(config) as client:
        assert client.wait(job, "done", "failed")["state"] == "done"
    assert (films / "a_x4.mp4.made").read_text() == "made\n"


def test_only_one_server_has_a_state(killable: Killable) -> None:
    killable.start()
    other = Killable(killable.folder)
    with pytest.raises(AssertionError, match="another run"):
        other.start()
    killable.kill()


def test_events_and_changes_are_one(tmp_path: Path) -> None:
    """A change that fails leaves no event, and its numbers are not used for others."""
    import asyncio

    told: list[int] = []
    database = Database(tmp_path, 100, lambda events: told.extend(event.seq for event in events))

    def fails(work):  # type: ignore[no-untyped-def]
        work.tell("job", {})
        raise ValueError

    async def story() -> None:
        await database.write(lambda work: work.tell("job", {}))
        with pytest.raises(ValueError):
            await database.write(fails)
        await database.write(lambda work: work.tell("job", {}))
        await asyncio.sleep(0)

    asyncio.run(story())
    database.close()
    assert told == [1, 2]
