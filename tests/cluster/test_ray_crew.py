"""What a crew of Ray does about the cluster itself: it is asked rarely, and its end is noticed before Ray ends us."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from limpid.cluster import ray_crew
from limpid.cluster.actor import Slot
from limpid.cluster.crew import ClusterLostError
from limpid.cluster.ray_crew import LOOK_AGAIN_S, Pillar, Place, RayCrew
from limpid.cluster.start import _without_signals


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Door:
    """What stands at an address."""

    is_open: bool = True
    asked: list[str] = field(default_factory=list)

    def __call__(self, address: str, seconds: float) -> bool:
        self.asked.append(address)
        return self.is_open


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    found = Door()
    monkeypatch.setattr(ray_crew, "listens", found)
    return found


def test_what_is_away_for_a_while_is_waited_for(door: Door) -> None:
    clock = Clock()
    pillar = Pillar("head:6379", 20, clock=clock)
    assert pillar.stands()
    door.is_open = False
    for clock.now in (1, 5, 10, 20):
        assert not pillar.stands()
    door.is_open, clock.now = True, 21.5
    assert pillar.stands()
    door.is_open, clock.now = False, 30
    assert not pillar.stands()
    clock.now = 50.5
    with pytest.raises(ClusterLostError, match=r"nothing listens at head:6379.*the same command goes on"):
        pillar.stands()


def test_a_pillar_is_looked_at_once_in_a_second(door: Door) -> None:
    clock = Clock()
    pillar = Pillar("head:6379", 20, clock=clock)
    for clock.now in (0, 0.3, 0.6, 0.9, 1.2):
        pillar.stands()
    assert len(door.asked) == 2


def test_places_are_counted_rarely_and_kept_while_nobody_knows_them(door: Door) -> None:
    clock, counted = Clock(), []

    def places() -> list[Place]:
        counted.append(clock.now)
        return [Place(slot=Slot())] * (1 + len(counted))

    crew = RayCrew(None, places, [Pillar("head:6379", 20, clock=clock)], clock=clock)
    assert [crew.wanted() for _ in range(5)] == [2] * 5
    clock.now = LOOK_AGAIN_S
    assert crew.wanted() == 3
    door.is_open, clock.now = False, 2 * LOOK_AGAIN_S
    assert crew.wanted() == 3
    assert counted == [0, LOOK_AGAIN_S]


@dataclass
class Books:
    """A Ray whose book-keeper does what it is told to when it is asked; it is told of the kind of actor as Ray is."""

    answer: Callable[[], Any] = lambda: None
    kinds: int = 0
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(RaySystemError=type("A", (Exception,), {}), RpcError=EOFError)
    )

    def remote(self, **options: Any) -> Callable[[type], Any]:
        self.kinds += 1
        actor = SimpleNamespace(remote=lambda slot: self.answer())
        return lambda kind: SimpleNamespace(options=lambda **more: actor)

    def kill(self, actor: Any) -> None:
        self.answer()


@pytest.fixture
def never() -> Iterator[Callable[[], None]]:
    """Waits until the test has ended, as Ray does for a book-keeper that is gone."""
    end = threading.Event()

    def wait() -> None:
        end.wait()

    yield wait
    end.set()


def crew_that_waits_for(ray: Books, door: Door) -> RayCrew:
    """Time passes whenever it is asked for; nobody listens from the fourth second on."""
    clock = Clock()

    def later() -> float:
        clock.now += 1
        door.is_open = clock.now < 4
        return clock.now

    return RayCrew(ray, lambda: [Place(slot=Slot())], [Pillar("head:6379", 3, clock=later)], clock=clock)


def test_who_waits_for_a_book_keeper_that_is_gone_is_told(door: Door, never: Callable[[], None]) -> None:
    ray = Books()
    crew = crew_that_waits_for(ray, door)
    name = crew.hire()
    ray.answer = never
    with pytest.raises(ClusterLostError, match="nothing listens at head:6379"):
        crew.hire()
    crew.dismiss(name)  # returns
    counting = crew_that_waits_for(ray, door)
    counting.places = never  # type: ignore[assignment]
    with pytest.raises(ClusterLostError, match="nothing listens at head:6379"):
        counting.wanted()


def test_a_cluster_is_told_the_kind_of_actor_once(door: Door) -> None:
    ray = Books()
    crew = RayCrew(ray, lambda: [Place(slot=Slot())] * 3)
    assert [crew.hire() for _ in range(3)] == ["worker 1", "worker 2", "worker 3"]
    assert ray.kinds == 1


def test_a_book_keeper_that_answers_with_an_error_is_lost() -> None:
    def fail() -> None:
        raise EOFError("the connection was closed\nand more")

    with pytest.raises(ClusterLostError, match="EOFError: the connection was closed"):
        RayCrew(Books(fail), lambda: [Place(slot=Slot())]).hire()


def test_listens() -> None:
    assert not ray_crew.listens("nowhere", 0.1)
    assert not ray_crew.listens("[::1]:no", 0.1)


def test_a_signal_that_comes_while_ray_begins_is_told_afterwards_whatever_ray_does() -> None:
    """Ray puts a handler of its own in place half way, which would end the process there."""
    came: list[int] = []
    before: Any = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with _without_signals():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            assert came == []
        assert came == [signal.SIGTERM]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
