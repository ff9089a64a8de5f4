"""Texts of a run: joining, choosing by shot, and the file with a line per shot."""

from __future__ import annotations

from pathlib import Path

import pytest

from limpid.priors import prompts
from limpid.priors.prompts import PromptBook, check_shots, join_prompt, read_prompts
from limpid.types import SettingsError


@pytest.mark.parametrize(
    ("text", "suffix", "joined"),
    [
        ("a street", "best quality", "a street, best quality"),
        ("A street. ", " best quality", "A street, best quality"),
        ("a street,", ", best quality", "a street, best quality"),
        ("", "best quality", "best quality"),
        ("a street.", "", "a street."),
        ("  ", " ", ""),
    ],
)
def test_caption_and_suffix_are_joined_by_one_comma(text: str, suffix: str, joined: str) -> None:
    assert join_prompt(text, suffix) == joined


def test_a_shot_has_its_own_text_or_that_of_the_input() -> None:
    book = PromptBook(prompt="a film", negative="blur", suffix="sharp", per_shot={2: "a dog", 0: "a cat", 1: ""})
    assert [book.for_shot(shot) for shot in range(4)] == ["a cat, sharp", "sharp", "a dog, sharp", "a film, sharp"]
    assert book.all() == ["blur", "a film, sharp", "a cat, sharp", "sharp", "a dog, sharp"]


def test_every_text_is_listed_once() -> None:
    assert PromptBook().all() == [""]
    assert PromptBook(prompt="x", per_shot={0: "x", 4: "y"}).all() == ["", "x", "y"]


def test_defaults_of_the_published_systems_join_without_double_commas() -> None:
    for suffix in (prompts.UPSCALE_A_VIDEO_SUFFIX, prompts.DIFFVSR_SUFFIX):
        assert join_prompt("a cat", suffix) == f"a cat, {suffix}"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_as_people_write_it(tmp_path: Path, newline: str, mark: str) -> None:
    lines = [f"{mark}# my film", "", "1: a street at night, rain: heavy", " 3 :  Größe # 4 ", "02:"]
    path = written(tmp_path, newline.join(lines))
    assert read_prompts(path) == {0: "a street at night, rain: heavy", 2: "Größe # 4", 1: ""}
    assert read_prompts(path, num_shots=3) == read_prompts(path)


def test_an_empty_file_has_no_texts(tmp_path: Path) -> None:
    assert read_prompts(written(tmp_path, "")) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1: a\na street", "line 2: 'a street' is not of the form NUMBER: TEXT"),
        ("1: a\n\n2: b\n1: c", "line 4: shot 1 has a text already, in line 1"),
        ("0: a", "line 1: shots are counted from 1, there is no shot 0"),
        ("-1: a", "line 1: '-1: a' is not of the form"),
        ("1: a\n00:01:30 a dog", "line 2: '00:01:30 a dog' begins with a time"),
        ("1: a\x07b", "line 1: the text has control characters in it"),
        (b"1: a\n2: gr\xfc\xdfe", "line 2: this is not UTF-8"),
        ("1: a".encode("utf-16"), "line 1: this is not UTF-8"),
        (b"x" * (prompts._MOST_BYTES + 1), "this is no file of prompts"),
        ("9" * 5000 + ": a", "line 1: '9999"),
    ],
)
def test_a_bad_line_is_named_with_file_and_number(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        read_prompts(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(SettingsError, match="the prompts cannot be read"):
            read_prompts(path)


def test_shots_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "1: a\n# b\n3: c")
    with pytest.raises(SettingsError, match="line 3: there is a text for shot 3, but the input has 2 shots"):
        read_prompts(path, num_shots=2)
    with pytest.raises(SettingsError, match=r"shot 2, but the input has 1 shot$"):
        check_shots({1: "a"}, 1)
    check_shots({0: "a"}, 1)
    check_shots({99: "a"}, None)
