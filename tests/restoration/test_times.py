"""Where the time of a run went."""

from __future__ import annotations

import threading

import pytest

from limpid.restoration.times import Times


def test_blocks_add_up_from_all_threads_and_when_they_fail() -> None:
    times = Times()
    threads = [threading.Thread(target=times.add, args=("decode", 0.25)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times.seconds == {"decode": 2.0}
    with pytest.raises(KeyError), times.measure("network"):
        raise KeyError
    assert times.seconds["network"] >= 0
    times.clear()
    assert times.seconds == {}


def test_a_report_says_what_was_not_the_network() -> None:
    times = Times({"compute": 7.0, "network": 6.0, "encode": 3.0})
    said = times.of_run(8.0)
    assert (said["network"], said["finish"], said["encode"], said["decode"]) == (6.0, 1.0, 3.0, 0.0)
    assert said["outside_network"] == 0.25
    assert (said["transfer"], said["commit"], said["idle"]) == (0.0, 0.0, 0.0)
    assert Times().of_run(0.0)["outside_network"] == 1.0
