"""Frames whose side data was looked at are freed."""

from __future__ import annotations

import gc

import av
import pytest

from limpid.video import side_data


def test_frames_that_were_looked_at_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame and its side data hold each other; the collector counts objects, not bytes, and would come late."""
    collections: list[int] = []
    monkeypatch.setattr(side_data, "_MOST_WAITING_BYTES", 2 * 64 * 48 * 4)
    monkeypatch.setattr(side_data, "_waiting_bytes", 0)
    monkeypatch.setattr(gc, "collect", lambda: collections.append(1) or 0)
    for _ in range(20):
        assert side_data.kinds_of(av.VideoFrame(64, 48, "yuv420p")) == ()
    assert len(collections) == 4
