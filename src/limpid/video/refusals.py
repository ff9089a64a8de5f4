"""A muxer that refuses: the same again without the stream that it stumbles over, so that a finished run has its result.

Muxers keep packets back to order them, and look at some things when they write the header or the end. The error for one
stream then comes up with a packet of another one, or with none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from limpid.video.files import reason_of
from limpid.video.tracks import SideStreams

CHAPTERS = -1
"""Stands among the numbers of streams for chapters and tags of the file."""
Without = dict[int, str]
"""What is left out, by the number of the stream, each with a sentence about it."""
Result = TypeVar("Result")


class RefusedError(Exception):
    """A muxer refused; ``suspects`` says what may be the reason, by number with a name, most likely first."""

    def __init__(self, suspects: dict[int, str], error: Exception) -> None:
        super().__init__(str(error))
        self.suspects, self.error = suspects, error


def suspects_of(side: SideStreams) -> dict[int, str]:
    """Everything of a source but its pictures, that whose packet was written last before all others."""
    others = [stream for stream in side.container.streams if stream.index != side.video.index]
    names = {stream.index: f"{stream.type} stream {stream.index}" for stream in others}
    likely = {} if side.last is None else {side.last: names[side.last]}
    return {**likely, **names, CHAPTERS: "what the source says of its title and chapters"}


def without_refused(attempt: Callable[[Without], Result]) -> Result:
    """The result of the first attempt that works: with all, without one of the suspects, without all of them.

    ``attempt`` raises `RefusedError` where leaving something out may help. Raises FFmpeg's error when nothing did.
    """
    try:
        return attempt({})
    except RefusedError as refused:
        first = refused
    for without in _choices(first):
        try:
            return attempt(without)
        except RefusedError:
            continue
    raise first.error


def _choices(refused: RefusedError) -> Iterator[Without]:
    told = {number: f"{name} is left out: {reason_of(refused.error)}" for number, name in refused.suspects.items()}
    yield from ({number: sentence} for number, sentence in told.items())
    yield {number: sentence for number, sentence in told.items() if number != CHAPTERS}
    yield told
