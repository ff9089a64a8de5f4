"""The structure that the design promises, read off the source: import order, light imports, small units."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "limpid"
FILES = sorted(SOURCE.rglob("*.py"))

LAYERS = [
    {"types", "bounded", "options", "spellings", "choices", "codec_names", "machine_options", "settings", "lazy"},
    {"durable", "viewer"},
    {"runtimes"},
    {"tiling", "color", "checkpoints", "plan", "presets"},
    {"video", "cuts"},
    {"method"},
    {"diffusion", "attention", "networks"},
    {"flow"},
    {"priors", "guidance", "consistency", "degrade", "metrics"},
    {"convert"},
    {"restoration", "methods"},
    {"run"},
    {"cluster"},
    {"api"},
    {"upscaler"},
    {"train", "bench"},
    {"serve"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
SHARED = LAYERS[0] | {"__init__"}
"""What anything may import: nouns, and the package for its version."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 15


def part_of(path: Path) -> str:
    """The top-level part a file belongs to: ``video`` for ``limpid/video/probe.py``."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Imported modules of a file with line number, and whether the import runs when the module is loaded."""
    tree = ast.parse(path.read_text())
    typing_only = {id(n) for block in ast.walk(tree) if is_type_checking(block) for n in ast.walk(block)}
    at_load = {id(n) for n in load_time_nodes(tree)}
    for node in ast.walk(tree):
        loads = id(node) in at_load and id(node) not in typing_only
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, loads) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            if node.module == "limpid":
                yield from ((f"limpid.{alias.name}", node.lineno, loads) for alias in node.names)
            else:
                yield node.module, node.lineno, loads


def module_name(path: Path) -> str:
    """``limpid.video.probe`` for ``limpid/video/probe.py``; a package is called as its folder is."""
    return ".".join(("limpid", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def imported_files(path: Path, modules: set[str]) -> set[str]:
    """Modules of ours that a file imports, when it is loaded or inside a function; not what only type checkers see."""
    tree = ast.parse(path.read_text())
    typing_only = {id(n) for block in ast.walk(tree) if is_type_checking(block) for n in ast.walk(block)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in typing_only:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= parts & modules or {str(node.module)} & modules
    return found - {module_name(path)}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def load_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from load_time_nodes(child)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_downwards_only(path: Path) -> None:
    here = part_of(path)
    if here in ("__init__", "__main__"):
        return
    assert here in RANK, f"{here} has no place in the import order; give it one in LAYERS"
    for module, line, _ in imports(path):
        if not module.startswith("limpid."):
            continue
        there = module.split(".")[1]
        if there == here or there in SHARED or there not in RANK:
            continue
        assert RANK[there] < RANK[here], f"{path.name}:{line}: {here} imports {there}, which is not below it"


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = {module_name(path) for path in FILES}
    graph = {module_name(path): imported_files(path, modules) for path in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_the_page_has_this_import_order() -> None:
    text = (SOURCE.parent.parent / "docs" / "architecture.md").read_text()
    block = text.split("## Import order")[1].split("```text")[1].split("```")[0].strip()
    assert [set(line.split(", ")) for line in block.splitlines()] == LAYERS


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_only_video_imports_av(path: Path) -> None:
    if part_of(path) == "video":
        return
    assert not [m for m, _, _ in imports(path) if m == "av" or m.startswith("av.")]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_package_never_imports_what_is_not_installed_with_it(path: Path) -> None:
    banned = {"torchvision", "torchcodec", "pyiqa", "clip", "skimage", "pytest"}
    found = {(m.split(".")[0], loads) for m, _, loads in imports(path)}
    if path == SOURCE / "metrics" / "pyiqa_adapter.py":  # of an extra, loaded when it is asked for
        found -= {("pyiqa", False), ("clip", False)}
    assert not banned & {m for m, _ in found}


OPTIONAL = {"diffusers", "transformers", "accelerate", "PIL"}
"""Of the extra ``models``."""


def test_methods_that_need_no_large_model_load_no_optional_library() -> None:
    loaded = f"','.join({OPTIONAL!r} & set(sys.modules))"
    code = f"import sys, limpid.api, limpid.methods\nlimpid.methods.find_method('tiny')\nsys.exit({loaded} or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_optional_libraries_stay_where_networks_are(path: Path) -> None:
    if part_of(path) not in ("networks", "priors", "convert"):
        found = OPTIONAL & {m.split(".")[0] for m, _, _ in imports(path)}
        assert not found - ({"accelerate"} if part_of(path) == "train" else set())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    for name, line, length in function_lengths(text):
        assert length <= MAX_FUNCTION_LINES, f"{path.name}:{line}: {name} has {length} lines"


def test_most_functions_are_very_short() -> None:
    lengths = sorted(length for path in FILES for _, _, length in function_lengths(path.read_text()))
    assert lengths[len(lengths) // 2] <= MEDIAN_FUNCTION_LINES


def function_lengths(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and number of lines of every function, its docstring not counted."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
            said = (doc.end_lineno or 0) - doc.lineno + 1 if doc is not None else 0
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1 - said


HEAVY = ["torch", "numpy", "av", "cv2", "scenedetect", "rich", "psutil"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["upscale", "--help"],
        ["probe", "--help"],
        ["methods", "--help"],
        ["doctor", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom limpid.cli.main import main\n"
        f"code = main({arguments!r})\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(code or (f'loaded {loaded}' if loaded else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_types_and_settings_are_light() -> None:
    loaded = "','.join({'torch', 'numpy', 'av'} & set(sys.modules))"
    code = f"import sys, limpid, limpid.types, limpid.settings\nsys.exit({loaded} or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


SAME_NAMES = {
    "command": "each command of the command line is a module with this function (`limpid.cli.main`)",
    "make_parser": "what a command's help and documentation are made from",
    "DESCRIPTION": "the text above a command's options",
    "USAGE": "the first line of a command's help",
    "ACTIONS": "the words that a command with sub-commands takes",
    "PARSERS": "the parsers of those words",
}
"""Public names that more than one module may define, because every module of a kind has one: name -> why."""


def public_names(path: Path) -> set[str]:
    """Functions, classes, constants and types that a module defines at its top level without an underscore."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return {name for name in found if not name.startswith("_")}


def test_no_public_name_is_defined_twice() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for name in public_names(path):
            homes.setdefault(name, []).append(str(path.relative_to(SOURCE)))
    twice = {name: places for name, places in homes.items() if len(places) > 1}
    assert not {name: places for name, places in twice.items() if name not in SAME_NAMES}
    assert SAME_NAMES.keys() <= twice.keys(), "a name that is defined once is no exception any more"


SUBJECTLESS = re.compile(r"(Of|The same|Same|See)\b")
"""How a docstring begins that only makes sense below the one before it."""


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every string that stands as a statement: docstrings, also those of attributes and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.strip()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_docstrings_begin_with_a_subject(path: Path) -> None:
    """Who arrives by search reads one docstring alone, and must learn from it what the thing is."""
    found = {line: text[:60] for line, text in docstrings(ast.parse(path.read_text())) if SUBJECTLESS.match(text)}
    assert not found, "say what it is: width in pixels, learner of a denoiser, peak memory of one call"


def test_docstrings_without_a_subject_would_be_found() -> None:
    text = '''"""Of a module."""
width = 1
"""
The same, in pixels."""
class Learner:
    """See `Other`."""
    steps: int
    """Same as there."""
    def run(self):
        """Offers `seek`, and seems to be fine."""
'''
    found = [line for line, said in docstrings(ast.parse(text)) if SUBJECTLESS.match(said)]
    assert sorted(found) == [1, 3, 6, 8]


def test_no_file_is_unpickled() -> None:
    """Weights are safetensors; ``torch.load`` and pickle have no place in the package.

    Other people's files are read by `limpid.checkpoints.opcodes`, which follows a pickle without being able to call
    anything outside a short table.
    """
    for path in FILES:
        assert "torch.load(" not in path.read_text()
        assert not [m for m, _, _ in imports(path) if m in ("pickle", "dill", "joblib")]


# ------------------------------------------------------------------------------------------ one story, one geometry

STORY_FILES, STORY_LINES = 12, 650


def story() -> list[tuple[Path, set[str]]]:
    """The files and functions that docs/architecture.md lists from a method to a written frame."""
    text = (SOURCE.parent.parent / "docs" / "architecture.md").read_text()
    table = text.split("## From a method to a written frame")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `src/limpid/([\w/]+\.py)` \| ([^|]+) \|$", table, re.MULTILINE)
    return [(SOURCE / file, set(re.findall(r"`(\w+)`", cell.split(":")[0]))) for file, cell in rows]


def test_a_newcomer_reads_few_lines_from_a_method_to_a_written_frame() -> None:
    found = story()
    assert 10 <= len(found) <= STORY_FILES
    total = 0
    for path, names in found:
        lengths: dict[str, int] = {}
        for name, _, length in function_lengths(path.read_text()):
            lengths[name] = lengths.get(name, 0) + length
        assert names and names <= set(lengths), f"{path.name} has no {names - set(lengths)}"
        total += sum(lengths[name] for name in names)
    assert total <= STORY_LINES, f"{total} lines"


def test_a_method_is_few_fields_and_only_geometry_knows_its_kind() -> None:
    from dataclasses import fields

    from limpid.method import Method

    assert len(fields(Method)) <= 18
    for path in FILES:
        if part_of(path) != "cuts":
            asks = [
                n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute) and n.attr == "local"
            ]
            assert not asks, f"{path.name}:{asks[0].lineno} asks for .local"


def test_methods_are_short_functions() -> None:
    for path in (SOURCE / "methods").glob("*.py"):
        for name, line, length in function_lengths(path.read_text()):
            assert length <= 35, f"{path.name}:{line}: {name} has {length} lines"
