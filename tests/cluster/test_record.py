"""What workers did: rates and idle shares by a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from limpid.cluster.orders import Update
from limpid.cluster.record import WORKERS_INTERVAL_S, WorkLog
from limpid.run.events import Teller


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def row(log: WorkLog, name: str) -> dict[str, Any]:
    return next(row for row in log.rows() if row["name"] == name)


def test_time_with_work_is_busy_until_the_worker_says_what_it_was() -> None:
    log = WorkLog(clock=(clock := Clock()))
    log.opened("a", "node")
    clock.now += 2
    log.at_work("a", at_work=True)
    clock.now += 2
    assert row(log, "a")["idle"] == 0.5
    log.said("a", Update(busy_s=1.0))  # it waited for frames
    assert row(log, "a")["idle"] == 0.75
    log.at_work("a", at_work=False)
    clock.now += 4
    assert row(log, "a")["idle"] == 0.875
    assert log.idle_s() == 7.0


def test_rates_count_frames_that_are_not_durable_yet_and_end_with_the_worker() -> None:
    log = WorkLog(clock=(clock := Clock()))
    log.opened("a", "node")
    log.records["a"].frames, log.records["a"].open_frames = 6, 4
    clock.now += 5
    assert row(log, "a") == {"name": "a", "node": "node", "there": True, "frames": 10, "fps": 2.0, "idle": 1.0}
    log.gone("a")
    clock.now += 100
    assert row(log, "a")["fps"] == 1.2
    assert not row(log, "a")["there"]
    log.gone("never opened")


def test_it_is_told_now_and_then_and_at_the_end_of_all() -> None:
    log, events = WorkLog(clock=(clock := Clock())), []
    teller = Teller(events.append)
    log.opened("a", "node")
    log.opened("b", "node")
    for _ in range(4):
        log.tell(teller)
        clock.now += WORKERS_INTERVAL_S / 2
    log.gone("b")
    log.tell(teller)
    told = [[row["name"] for row in event["workers"]] for event in events]
    assert told == [["a", "b"], ["a"]]
    log.end(teller)
    assert [row["name"] for row in events[-1]["workers"]] == ["a", "b"]
    clock.now += 50
    assert row(log, "a")["idle"] == pytest.approx(1.0)
    assert log.idle_s() == 4 * WORKERS_INTERVAL_S, "what comes after the work is not idle"
