"""The table of equations is true: what it names exists and is used, and what the code cites stands in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE = REPOSITORY / "src"
PAGE = REPOSITORY / "docs" / "equations.md"
FILES = sorted(SOURCE.rglob("*.py"))
TEXTS = [*FILES, *sorted((REPOSITORY / "tests").rglob("*.py")), *sorted((REPOSITORY / "docs").glob("*.md"))]

NUMBERED = {"UAV": 3, "MGLD": 6, "DiffVSR": 4, "DC-VSR": 14}
"""How many numbered equations the four papers have."""
CITATION = r"\b({papers}) (Eq\.|Algorithm|Table) (\d+(?:(?:, | and | to )\d+)*)"
BARE = re.compile(r"\bEq\. \d|\b[Ee]quations? \d")


# ------------------------------------------------------------------------------------------------ the table


def rows() -> list[list[str]]:
    """Cells of the tables with four columns, without their heads."""
    lines = [line.replace(r"\|", "/") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == 4 and row[0] != "paper"]


def listed() -> set[tuple[str, str]]:
    """``("UAV", "Eq. 3")`` for every row."""
    return {(row[0].split(" (")[0], row[1]) for row in rows()}


def named() -> list[str]:
    """Dotted names of the last column, each once."""
    return list(dict.fromkeys(name for row in rows() for name in re.findall(r"`(limpid\.[\w.]+)`", row[3])))


@cache
def citation() -> re.Pattern[str]:
    papers = sorted({paper for paper, _ in listed()}, key=len, reverse=True)
    return re.compile(CITATION.format(papers="|".join(map(re.escape, papers))))


def cited(text: str) -> set[tuple[str, str]]:
    """What a text cites: "DC-VSR Eq. 7 to 10" are four. Tables of results are not in ours."""
    found = set()
    for paper, kind, numbers in citation().findall(" ".join(text.split())):
        if kind == "Table" and paper in NUMBERED:
            continue
        for part in re.split(r", | and ", numbers):
            first, _, last = part.partition(" to ")
            found |= {(paper, f"{kind} {n}") for n in range(int(first), int(last or first) + 1)}
    return found


def test_every_numbered_equation_of_the_papers_has_a_row() -> None:
    wanted = {(paper, f"Eq. {n + 1}") for paper, count in NUMBERED.items() for n in range(count)}
    assert wanted <= listed()
    assert {row for row in listed() if row[0] in NUMBERED and row[1].startswith("Eq.")} == wanted


def test_a_row_names_a_function_or_says_why_there_is_none() -> None:
    for paper, equation, says, by in rows():
        assert says, f"{paper} {equation}"
        assert "`limpid." in by or by.startswith("by no "), f"{paper} {equation} names nothing"


def test_what_the_code_cites_has_a_row() -> None:
    missing = {str(path.relative_to(SOURCE)): cited(path.read_text()) - listed() for path in FILES}
    assert not {path: lacking for path, lacking in missing.items() if lacking}
    assert len(set().union(*(cited(path.read_text()) for path in FILES))) >= 30


def test_no_equation_is_cited_without_its_paper() -> None:
    """A bare number means something else in each of the papers."""
    for path in TEXTS:
        rest = citation().sub("", " ".join(path.read_text().split()))
        if path not in (PAGE, Path(__file__).resolve()):
            assert not BARE.search(rest), f"{path.relative_to(REPOSITORY)}: {BARE.findall(rest)} of which paper?"


def test_citations_are_read() -> None:
    assert cited("(DC-VSR Eq. 7 to\n    9), as UAV Eq. 1 and 3") == {
        ("DC-VSR", "Eq. 7"), ("DC-VSR", "Eq. 8"), ("DC-VSR", "Eq. 9"), ("UAV", "Eq. 1"), ("UAV", "Eq. 3")
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- the names


@cache
def modules() -> dict[str, ast.Module]:
    found = {".".join(p.relative_to(SOURCE).with_suffix("").parts): ast.parse(p.read_text()) for p in FILES}
    return {name.removesuffix(".__init__"): tree for name, tree in found.items()}


def definition(name: str) -> tuple[str, list[str]]:
    """The module that defines a dotted name, and the rest of it. Raises LookupError."""
    parts = name.split(".")
    at = max((n for n in range(len(parts)) if ".".join(parts[:n]) in modules()), default=0)
    module, inside = ".".join(parts[:at]), parts[at:]
    body: list[ast.stmt] = modules()[module].body
    for part in inside:
        match = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part]
        if not match:
            raise LookupError(f"{module} has no {'.'.join(inside)}")
        body = match[0].body
    return module, inside


@cache
def imported() -> dict[str, dict[str, str]]:
    """For each module, what its imports call things and what these are: ``{"warp": "limpid.flow.warp.warp"}``."""
    return {
        module: {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        for module, tree in modules().items()
    }


def resolved(name: str) -> str:
    """Where a name that a package hands on was defined."""
    module, _, last = name.rpartition(".")
    onward = imported().get(module, {}).get(last)
    return resolved(onward) if onward and onward != name else name


def names_used(tree: ast.AST, own: str | None = None) -> Iterator[str]:
    """Names that are read; not inside the definition called ``own``, which may call itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == own:
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        yield from names_used(node)


@cache
def used() -> frozenset[str]:
    """Full names that some code of the package reads, from its own module or through an import."""
    found = set()
    for module, tree in modules().items():
        own = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        for name in set(names_used(tree)):
            if name in imported()[module]:
                found.add(resolved(imported()[module][name]))
        found |= {f"{module}.{name}" for name in own if name in set(names_used(tree, own=name))}
    return frozenset(found)


@cache
def attributes() -> frozenset[str]:
    trees = (node for tree in modules().values() for node in ast.walk(tree))
    return frozenset(node.attr for node in trees if isinstance(node, ast.Attribute))


@pytest.mark.parametrize("name", named())
def test_what_is_named_exists_and_is_used(name: str) -> None:
    if name in modules():
        return
    module, inside = definition(name)
    assert f"{module}.{inside[0]}" in used(), f"nothing in the package uses {name}"
    if len(inside) > 1:
        assert inside[1] in attributes(), f"nothing in the package calls {name}"


def test_functions_that_nothing_uses_would_be_found() -> None:
    assert "limpid.flow.warp.warp" in used()
    assert "limpid.flow.warp.wrap" not in used()
    with pytest.raises(LookupError):
        definition("limpid.flow.warp.wrap")
