"""``limpid upscale`` with a fake engine: options, outputs, batches, errors, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import limpid
from limpid.cli.main import main
from limpid.cli.upscale import make_parser
from limpid.settings import Settings
from limpid.types import InputError, Interrupted, OutputError, ResourceError

Cli = Callable[..., Any]


def test_every_setting_is_an_option_and_the_other_way_round() -> None:
    """Beside the settings the command has only what is about files and what is shown."""
    own = {"help", "names", "output", "sidecar", "recursive", "overwrite", "skip_existing", "work_dir", "keep_work"}
    own |= {"trust_sidecar", "preset_look"}
    shown = {"dry_run", "json", "quiet", "traceback"}
    actions = {action.dest for action in make_parser()._actions}
    assert actions - own - shown == {f.name for f in fields(Settings)} and own | shown < actions


def test_defaults_are_those_of_settings(cli: Cli, fake: Any, film: Path) -> None:
    assert cli("upscale", film).code == 0
    assert fake.calls[0]["settings"] == Settings()
    assert fake.calls[0]["output"] is None
    assert not fake.calls[0]["overwrite"] and not fake.calls[0]["dry_run"] and not fake.calls[0]["keep_work"]


def test_every_option_arrives(cli: Cli, fake: Any, film: Path) -> None:
    values: dict[str, Any] = {
        "method": "tiny",
        "preset_name": "mine",
        "scale": 3.5,
        "steps": 4,
        "sampler": "dpm++",
        "seed": 7,
        "strength": 0.5,
        "detail": 0.25,
        "denoise": 0.5,
        "color": "adain",
        "device": "cpu",
        "runtime": "torch",
        "dtype": "float32",
        "tile_px": 64,
        "segment_frames": 24,
        "window_frames": 8,
        "codec": "h265",
        "encoder": "auto",
        "crf": 20,
        "bit_depth": 10,
        "preset": "fast",
        "deinterlace": "on",
        "video_stream": 2,
        "fps": Fraction(30000, 1001),
        "preview": "00:01-00:03",
        "threads": 2,
        "weights": "folder",
        "prompt": "a street",
        "negative_prompt": "blur",
        "prompts": "1: a house",
        "caption": "auto",
        "caption_model": "name",
        "noise_level": 20,
        "guidance": "cfg",
        "guidance_scale": 3.5,
        "attention": "sap+tap",
        "attention_rate": 0.25,
        "attention_frames": 3,
        "image_embedding": "clip",
        "consistency": "noise+transition",
        "propagation_steps": "1,0.5",
        "motion_guidance": 5.0,
        "motion_guidance_limit": 0.1,
        "joint_frames": 2,
        "flow": "raft",
        "autoencoder": "image",
        "decoder_weight": 0.7,
        "offload": "model",
        "attention_kernel": "math",
        "workers": "2",
        "cluster": "auto",
        "wait_s": 600,
    }
    options = [part for name, value in values.items() for part in ("--" + name.replace("_", "-"), str(value))]
    ran = cli(
        "upscale",
        film,
        *options,
        "--no-detect-cuts",
        "--released",
        "--compile",
        "--mixed",
        "--overwrite",
        "--keep-work",
        "--work-dir",
        "w",
    )
    assert ran.code == 0, ran.err
    assert fake.calls[0]["settings"] == Settings(**values, detect_cuts=False, released=True, compile=True, mixed=True)
    assert fake.calls[0]["overwrite"] and fake.calls[0]["keep_work"] and fake.calls[0]["work_dir"] == "w"
    assert {f.name for f in fields(Settings)} - set(values) == {"height", "detect_cuts", "released", "compile", "mixed"}


def test_options_may_stand_between_the_names(cli: Cli, fake: Any, film: Path, tmp_path: Path) -> None:
    assert cli("upscale", "--scale", "2", film, "--crf", "20", tmp_path / "out.mp4", "--seed", "1").code == 0
    assert fake.calls[0]["output"] == tmp_path / "out.mp4"
    assert fake.calls[0]["settings"] == Settings(scale=2, crf=20, seed=1)


def test_a_name_may_begin_with_a_dash(cli: Cli, fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-film.mp4").write_bytes(b"x")
    assert cli("upscale", "--crf", "20", "--", "-film.mp4", "-out.mp4").code == 0
    assert (fake.calls[0]["input"], fake.calls[0]["output"]) == (Path("-film.mp4"), Path("-out.mp4"))


@pytest.mark.parametrize(
    "options",
    [
        ("--scale", "0"),
        ("--scale", "-2"),
        ("--scale", "nan"),
        ("--scale", "inf"),
        ("--scale", "four"),
        ("--scale", "2", "--height", "720"),
        ("--height", "1"),
        ("--steps", "0"),
        ("--steps", "1.5"),
        ("--strength", "2"),
        ("--strength", "0"),
        ("--crf", "99"),
        ("--bit-depth", "12"),
        ("--codec", "divx"),
        ("--color", "lab"),
        ("--dtype", "int8"),
        ("--device", "tpu"),
        ("--preview", "tomorrow"),
        ("--preview", "00:03-00:01"),
        ("--fps", "0"),
        ("--fps", "1/0"),
        ("--seed", "-1"),
        ("--threads", "0"),
        ("--no-such-option",),
        ("--crf",),
        ("--overwrite", "--skip-existing"),
    ],
    ids=" ".join,
)
def test_wrong_options_are_one_sentence_and_code_2(cli: Cli, fake: Any, film: Path, options: tuple[str, ...]) -> None:
    ran = cli("upscale", film, *options)
    assert ran.code == 2
    assert ran.err.startswith("limpid: ") and ran.err.count("\n") == 1
    assert not fake.calls and not ran.out


def test_no_input_and_unknown_commands(cli: Cli, fake: Any) -> None:
    assert cli("upscale").code == 2
    assert cli().code == 2
    assert "not a command" in cli("upscael").err
    assert cli("--version").out.strip() == f"limpid {limpid.__version__}"


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("no"), 3), (OutputError("no"), 4), (ResourceError("no"), 5), (Interrupted("no"), 130)],
)
def test_errors_are_one_sentence_with_their_code(cli: Cli, fake: Any, film: Path, error: Exception, code: int) -> None:
    fake.fails["film.mp4"] = error
    ran = cli("upscale", film)
    assert (ran.code, ran.err) == (code, "limpid: no\n")


def test_ctrl_c_says_how_to_go_on(cli: Cli, fake: Any, film: Path) -> None:
    fake.fails["film.mp4"] = KeyboardInterrupt()
    ran = cli("upscale", film)
    assert ran.code == 130 and "same command" in ran.err


def test_a_defect_is_a_sentence_unless_asked(
    cli: Cli, fake: Any, film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fails["film.mp4"] = ZeroDivisionError("oh\nno")
    ran = cli("upscale", film)
    assert ran.code == 70 and ran.err.count("\n") == 1 and "ZeroDivisionError: oh no" in ran.err
    assert "LIMPID_DEBUG" in ran.err
    assert "Traceback" in cli("upscale", film, "--traceback").err
    monkeypatch.setenv("LIMPID_DEBUG", "1")
    assert main(["upscale", str(film)]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_plain_lines_tell_what_happens(cli: Cli, fake: Any, film: Path, tmp_path: Path) -> None:
    ran = cli("upscale", film)
    assert ran.out == f"{tmp_path / 'film_x4.mp4'}\n"
    for words in ("320x180, 23.976 frames/s", "about 1:15, 6 frames/s (measured)", "going on: 1 of 3", "12/48 frames"):
        assert words in ran.err
    for words in (
        "memory ran out; going on with tile_px 256",
        "note: the size",
        "warning: two packets",
        "48 frames in",
    ):
        assert words in ran.err
    assert "13 frames" not in ran.err, "progress is shown every few seconds only"


def test_quiet_shows_warnings_only(cli: Cli, fake: Any, film: Path) -> None:
    ran = cli("upscale", film, "-q")
    assert ran.err == "warning: two packets were damaged\n"
    assert ran.out == f"{film.with_name('film_x4.mp4')}\n"


def test_json_lines(cli: Cli, fake: Any, film: Path) -> None:
    ran = cli("upscale", film, "--json")
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [e["event"] for e in events][:2] == ["stage", "clip"] and events[-1]["event"] == "done"
    assert ran.err == ""
    fake.fails["film.mp4"] = InputError("no")
    ran = cli("upscale", film, "--json")
    assert json.loads(ran.out) == {"event": "error", "input": str(film), "message": "no", "exit_code": 3}
    assert ran.err == "limpid: no\n"


def test_dry_run_prints_the_plan(cli: Cli, fake: Any, film: Path, tmp_path: Path) -> None:
    ran = cli("upscale", film, "--dry-run")
    assert ran.code == 0 and "frames    0 to 47 (48)" in ran.out and "segments  1" in ran.out
    assert not (tmp_path / "film_x4.mp4").exists()


def test_from_a_sidecar(cli: Cli, fake: Any, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(limpid), "from_sidecar", lambda path, trust: (film, Settings(scale=2, seed=5)))
    assert cli("upscale", "--from", "x.limpid.json", "--seed", "6", tmp_path / "again.mp4").code == 0
    assert fake.calls[-1]["settings"] == Settings(scale=2, seed=6)
    assert fake.calls[-1]["output"] == tmp_path / "again.mp4"
    assert cli("upscale", "--from", "x.limpid.json", "--height", "360").code == 0
    assert fake.calls[-1]["settings"] == Settings(scale=None, height=360, seed=5)
    assert cli("upscale", "--from", "x.limpid.json", film, "out.mp4").code == 2


class TestBatches:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "films"
        folder.mkdir()
        for name in ("part10.mkv", "part2.mkv", "part1.mp4", "notes.txt", ".hidden.mp4"):
            (folder / name).write_bytes(b"x")
        return folder

    def test_a_folder_of_videos(self, cli: Cli, fake: Any, folder: Path) -> None:
        assert cli("upscale", folder).code == 0
        assert [call["input"].name for call in fake.calls] == ["part1.mp4", "part2.mkv", "part10.mkv"]
        fake.calls.clear()
        (folder / "part1_x4.mp4.limpid.json").write_text("{}")
        assert "1 results of Limpid" in cli("upscale", folder, "--overwrite").err
        assert "part1_x4.mp4" not in [call["input"].name for call in fake.calls]

    def test_results_go_into_a_folder(self, cli: Cli, fake: Any, folder: Path, tmp_path: Path) -> None:
        assert cli("upscale", folder, tmp_path / "out").code == 0
        assert fake.calls[0]["output"] == tmp_path / "out" / "part1_x4.mp4"
        assert (
            cli("upscale", folder / "part1.mp4", folder / "part2.mkv", "-o", tmp_path / "b", "--scale", "2").code == 0
        )
        assert fake.calls[-1]["output"] == tmp_path / "b" / "part2_x2.mkv"

    def test_one_file_for_many_inputs_is_refused(self, cli: Cli, fake: Any, folder: Path) -> None:
        ran = cli("upscale", folder, "out.mp4")
        assert ran.code == 2 and "give a folder" in ran.err

    def test_a_failed_file_does_not_stop_the_others(self, cli: Cli, fake: Any, folder: Path) -> None:
        fake.fails |= {"part1.mp4": InputError("broken"), "part2.mkv": OutputError("full")}
        ran = cli("upscale", folder)
        assert ran.code == 4 and len(fake.calls) == 3
        assert "3 inputs: 1 done, 2 failed" in ran.err and "part1.mp4: broken" in ran.err

    def test_ctrl_c_stops_the_batch(self, cli: Cli, fake: Any, folder: Path) -> None:
        fake.fails["part2.mkv"] = Interrupted("stopped")
        ran = cli("upscale", folder, "--json")
        assert ran.code == 130 and len(fake.calls) == 2
        summary = json.loads(ran.out.splitlines()[-1])
        assert summary == {"event": "summary", "done": 1, "skipped": 0, "failed": 1, "not_started": 1}

    def test_existing_outputs_can_be_skipped(self, cli: Cli, fake: Any, folder: Path) -> None:
        (folder / "part2_x4.mkv").write_bytes(b"x")
        (folder / "part2_x4.mkv.limpid.json").write_text("{}")
        ran = cli("upscale", folder, "--skip-existing")
        assert ran.code == 0 and [call["input"].name for call in fake.calls] == ["part1.mp4", "part10.mkv"]
        assert "skipped" in ran.err and "2 done, 1 skipped" in ran.err

    def test_two_inputs_must_not_share_an_output(self, cli: Cli, fake: Any, folder: Path, tmp_path: Path) -> None:
        ran = cli("upscale", folder / "a.avi", folder / "a.wmv", "-o", tmp_path)
        assert ran.code == 2 and "both be written" in ran.err and not fake.calls

    def test_a_second_film_is_never_written_over(self, cli: Cli, fake: Any, folder: Path) -> None:
        ran = cli("upscale", folder / "part1.mp4", folder / "part2.mkv", "--overwrite")
        assert ran.code == 4 and "not written by Limpid" in ran.err and not fake.calls
        assert cli("upscale", folder / "part1.mp4", "-o", folder / "part2.mkv", "--overwrite").code == 0

    def test_our_own_output_can_be_named_again(self, cli: Cli, fake: Any, folder: Path) -> None:
        (folder / "out.mp4").write_bytes(b"x")
        (folder / "out.mp4.limpid.json").write_text("{}")
        assert cli("upscale", folder / "part1.mp4", folder / "out.mp4", "--overwrite").code == 0

    def test_videos_and_images_mixed_are_refused(self, cli: Cli, fake: Any, folder: Path) -> None:
        (folder / "poster.jpg").write_bytes(b"x")
        ran = cli("upscale", folder)
        assert ran.code == 3 and "3 videos and 1 images" in ran.err

    def test_a_folder_of_images_is_one_clip(self, cli: Cli, fake: Any, tmp_path: Path) -> None:
        (tmp_path / "frames").mkdir()
        (tmp_path / "frames" / "1.png").write_bytes(b"x")
        (tmp_path / "there").mkdir()
        assert cli("upscale", tmp_path / "frames", tmp_path / "there").code == 0
        assert fake.calls[0]["input"] == tmp_path / "frames" and fake.calls[0]["output"] == tmp_path / "there"

    def test_an_existing_folder_takes_the_result(self, cli: Cli, fake: Any, film: Path, tmp_path: Path) -> None:
        assert cli("upscale", film, f"{tmp_path}/new/").code == 0
        assert fake.calls[0]["output"] == tmp_path / "new" / "film_x4.mp4"
        assert cli("upscale", film, tmp_path / "new", "--codec", "images").code == 0
        assert fake.calls[1]["output"] == tmp_path / "new"


def test_control_characters_in_names_are_escaped(cli: Cli, fake: Any, tmp_path: Path) -> None:
    odd = tmp_path / "a\nb\x1b[31m\N{SNOWMAN}.mp4"
    odd.write_bytes(b"x")
    ran = cli("upscale", odd)
    assert ran.code == 0 and "\x1b" not in ran.err + ran.out
    assert "a\\nb\\x1b[31m\N{SNOWMAN}_x4.mp4" in ran.out


def test_folders_in_folders(cli: Cli, fake: Any, tmp_path: Path) -> None:
    for name in ("films/a.mp4", "films/deep/b2.mp4", "films/deep/b10.mp4", "films/frames/f1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert cli("upscale", "-r", tmp_path / "films", "-o", tmp_path / "out").code == 0
    done = [(call["input"].relative_to(tmp_path / "films"), call["output"]) for call in fake.calls]
    out = tmp_path / "out"
    assert done == [
        (Path("a.mp4"), out / "a_x4.mp4"),
        (Path("deep/b2.mp4"), out / "deep" / "b2_x4.mp4"),
        (Path("deep/b10.mp4"), out / "deep" / "b10_x4.mp4"),
        (Path("frames"), out / "frames_x4"),
    ]


def test_a_folder_of_folders_without_r_says_so(cli: Cli, fake: Any, tmp_path: Path) -> None:
    (tmp_path / "films" / "deep").mkdir(parents=True)
    (tmp_path / "films" / "deep" / "a.mp4").write_bytes(b"x")
    ran = cli("upscale", tmp_path / "films")
    assert ran.code == 3 and "say -r" in ran.err


def test_folders_beside_films_are_told(cli: Cli, fake: Any, tmp_path: Path) -> None:
    """Results of Limpid and hidden folders are none."""
    for name in ("a.mp4", ".hidden/b.mp4", "frames_x4/1.png", "deep/c.mp4"):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / name).write_bytes(b"x")
    (tmp_path / "films" / "frames_x4.limpid.json").write_text("{}")
    ran = cli("upscale", tmp_path / "films")
    assert ran.code == 0 and [call["input"].name for call in fake.calls] == ["a.mp4"]
    assert "as in" in ran.err and "deep" in ran.err and "say -r" in ran.err
    (tmp_path / "films" / "deep" / "c.mp4").unlink()
    assert "say -r" not in cli("upscale", tmp_path / "films").err


def test_a_name_with_superscripts_in_a_folder(cli: Cli, fake: Any, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    for name in ("12²34.mp4", "2.mp4"):
        (tmp_path / "films" / name).write_bytes(b"x")
    assert cli("upscale", tmp_path / "films").code == 0
