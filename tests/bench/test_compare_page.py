"""``limpid compare`` on small clips: what is on the page, what is not, and what is refused."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from limpid.cli.main import main

SPEC = importlib.util.spec_from_file_location("limpid_comparing", Path(__file__).with_name("comparing.py"))
assert SPEC is not None and SPEC.loader is not None
comparing: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(comparing)

ODD = "a <b> & \"c\" 'd' %s $title #?é"


class Elements(HTMLParser):
    """Every tag with its attributes, and the text of the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and data.strip():
            self.scripts.append(data)

    def addresses(self) -> Iterator[str]:
        for _, attributes in self.tags:
            yield from (
                v or "" for k, v in attributes.items() if k in ("src", "href", "srcset", "poster", "data", "action")
            )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder with the clips, and the page."""
    folder = tmp_path_factory.mktemp("compare")
    paths = comparing.clips(folder, ODD)
    page = folder / "page.html"
    names = [paths["blurred"], paths["faulty"], "--ref", paths["truth"], "--lr", paths["small"]]
    arguments = [*names, "-o", page, "--metrics", "ssim", "--traceback"]
    assert main(["compare", *map(str, arguments)]) == 0
    return folder, page


@pytest.fixture(scope="module")
def text(made: tuple[Path, Path]) -> str:
    return made[1].read_text("utf-8")


def test_the_page_refers_to_nothing_outside(text: str) -> None:
    elements = Elements(text)
    found = list(elements.addresses())
    assert len(found) > 10 and all(address.startswith("data:") for address in found)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket", text)


def test_all_data_are_in_the_page(text: str) -> None:
    elements = Elements(text)
    (film,) = [a["src"] or "" for tag, a in elements.tags if tag == "video"]
    assert base64.b64decode(film.partition(",")[2])[4:8] == b"ftyp"
    pictures = [a["src"] or "" for tag, a in elements.tags if tag == "img"]
    assert len(pictures) == 3 * 4 + 4 + 3 + 1  # crops, profiles, heat maps, their scale
    assert all(base64.b64decode(p.partition(",")[2]).startswith(b"\x89PNG") for p in pictures)
    assert sum(tag == "svg" for tag, _ in elements.tags) == 4  # PSNR, level, change, SSIM
    data = json.loads(elements.scripts[0])
    assert data["labels"] == ["reference", "blurred", Path(ODD).stem, "input"] and data["frames"] == 10


def test_pictures_have_words(text: str) -> None:
    assert all(a.get("alt") for tag, a in Elements(text).tags if tag == "img")


def test_the_worst_place_is_shown(text: str) -> None:
    x, y, width, height, frame = json.loads(Elements(text).scripts[0])["crops"][0]
    left, top, wide, high = comparing.FAULT
    assert frame == comparing.FAULT_FRAME
    assert x < left + wide and left < x + width and y < top + high and top < y + height


def test_odd_names_are_escaped(text: str) -> None:
    assert "<b>" not in text and "a &lt;b&gt; &amp; &quot;c&quot;" in text and "$title" in text
    assert text.count("</script>") == 2


def test_the_input_is_said_to_be_enlarged(text: str) -> None:
    assert "40x24; it is enlarged to 160x96 by bicubic interpolation" in text


def compare(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["compare", *map(str, arguments)])
    return code, capsys.readouterr().err


def test_sizes_that_differ_are_refused(made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = made
    code, said = compare(capsys, folder / "truth", folder / "small", "-o", folder / "no.html")
    assert code == 3 and "small is 40x24" in said and "160x96" in said and "--lr" in said
    assert not (folder / "no.html").exists()


def test_frame_counts_that_differ_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [comparing.pattern(n) for n in range(6)]
    a, b = comparing.write(tmp_path / "a", frames), comparing.write(tmp_path / "b", frames[:4])
    page = tmp_path / "p.html"
    code, said = compare(capsys, a, b, "-o", page, "--crop", "8,8,32,24", "--profile", "row:5", "--labels", "one,two")
    assert code == 0 and "one 6, two 4" in said
    text = page.read_text("utf-8")
    assert "The frame counts differ" in text and "Row 5" in text and "identical" in text
    assert json.loads(Elements(text).scripts[0])["crops"] == [[8, 8, 32, 24, 0]]
    assert compare(capsys, a, b, "-o", page)[0] == 4


def test_a_late_output_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [comparing.pattern(2 * n % 16) for n in range(8)]
    a, b = comparing.write(tmp_path / "a", frames[1:]), comparing.write(tmp_path / "b", frames[:-1])
    code, said = compare(capsys, b, "--ref", a, "-o", tmp_path / "p.html")
    assert code == 0 and "b and the reference are not aligned" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--crop", "1,2,3"], "--crop"),
        (["--crop", "150,0,64,64"], "160x96"),
        (["--frames", "5"], "--frames"),
        (["--frames", "10:"], "no frame"),
        (["--profile", "diagonal"], "--profile"),
        (["--profile", "row:96"], "0 to 95"),
        (["--labels", "x"], "--labels"),
        (["--metrics", "beauty"], "beauty"),
        (["--crf", "52"], "--crf"),
        (["--max-mb", "0"], "--max-mb"),
        (["--crops", "0"], "--crops"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_wrong_options_are_refused_in_a_sentence(
    made: tuple[Path, Path], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    folder, _ = made
    code, said = compare(capsys, folder / "truth", folder / "blurred", "-o", folder / "no.html", *arguments)
    assert code == 2 and words in said and said.splitlines()[-1].startswith("limpid: ")
    assert not (folder / "no.html").exists()


def test_the_template_is_in_the_package() -> None:
    from importlib.resources import files

    folder = files("limpid.bench.compare")
    assert all((folder / f"page.{kind}").is_file() for kind in ("html", "css", "js"))


def test_the_command_line_loads_nothing_heavy_for_help() -> None:
    import subprocess

    code = "import sys\nfrom limpid.cli.main import main\nmain(['compare', '--help'])\n"
    code += "sys.exit(' '.join({'torch', 'numpy', 'av', 'cv2'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
