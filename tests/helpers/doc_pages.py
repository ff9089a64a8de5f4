"""The pages of the documentation taken apart: code blocks with what is said of them, links and anchors.

A fenced block has a language. What cannot be run says why in a comment before it, which readers do not see::

    <!-- not run: needs a data set -->
    <!-- needs: ncnn -->            run where this package is installed
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = (
    REPOSITORY / "README.md",
    REPOSITORY / "src" / "limpid" / "weights" / "MODEL_CARD.md",
    *sorted(DOCS.rglob("*.md")),
)
_FENCE = re.compile(
    r"(?:^ *<!-- (?P<mark>not run|needs): (?P<said>[^\n]+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!\\)\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|(?:href|src)=\"([^\"]+)\"")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str = ""
    """Why it is not run; empty for blocks that are."""
    needs: str = ""
    """The package without which it is skipped."""

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        said = {str(found["mark"]).replace(" ", "_"): found["said"]} if found["mark"] else {}
        line = text.count("\n", 0, found.start("language")) + 1
        indent = len(found["indent"])
        body = "".join(row[indent:] or "\n" for row in found["text"].splitlines(keepends=True))
        yield Block(page=page, line=line, language=found["language"].strip(), text=body, **said)


def all_blocks(*languages: str) -> list[Block]:
    """Those of all pages, of these languages or of every one."""
    return [block for page in PAGES for block in blocks(page) if not languages or block.language in languages]


def shell_lines(block: Block) -> list[list[str]]:
    """The words of each command; lines that end in a backslash go on, remarks and ``> FILE`` are left out."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    words = (shlex.split(line, comments=True) for line in joined.splitlines())
    return [line[: line.index(">")] if ">" in line else line for line in words if line]


def without_code(text: str) -> str:
    """A page without what only looks like a link or a heading: fenced blocks, code in a line, comments."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!--.*?-->", "", re.sub(r"`[^`\n]+`", "``", text), flags=re.DOTALL)


def links(page: Path) -> list[str]:
    """Targets of links and pictures."""
    return [found[1] or found[2] for found in _LINK.finditer(without_code(page.read_text()))]


def anchors(page: Path) -> set[str]:
    """Names that links to parts of a page may have: those of GitHub that Python-Markdown gives, too."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", r"\1", title) for title in titles]
    return {_slug(title, " ") for title in plain} & {_slug(title, r"[-\s]+") for title in plain}


def _slug(title: str, gap: str) -> str:
    return re.sub(gap, "-", re.sub(r"[^\w\s-]", "", title).strip().lower())
