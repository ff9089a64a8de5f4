"""Where text leaves the program: metadata, names and errors come from files, and a terminal obeys control characters.

Everything that is printed goes through `escaping`; only the bar, which draws with control characters of its own, writes
to the stream below, after its texts were escaped.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

from limpid.bounded import printable


class EscapedStream:
    """A text stream in which control characters but newline and tab are written as ``\\x1b``."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def escaping() -> Iterator[None]:
    """What is printed in the block is escaped."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, EscapedStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def below(stream: TextIO) -> TextIO:
    """The stream itself, for what draws with control characters and has escaped its texts."""
    return stream.stream if isinstance(stream, EscapedStream) else stream
