"""The real engine behind the server: the result is that of the command line that is shown, byte for byte."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import bad_files
import pytest
import serving

from limpid.cli.main import main


@pytest.mark.slow
def test_the_result_is_that_of_the_command_line_shown(tmp_path: Path, films: Path) -> None:
    bad_files.video(films / "a.mp4", frames=4)
    real = {
        "command": (sys.executable, "-m", "limpid"),
        "advisor": (sys.executable, "-m", "limpid.serve.advisor"),
        "tick_s": 0.1,
    }
    with serving.running_server(serving.fake_config(tmp_path / "state", films, **real)) as client:
        body = {"input": str(films / "a.mp4"), "settings": {"scale": 1, "threads": 1}}
        refused = client.post("/check", {**body, "settings": {"prompt": "a street"}})
        assert refused.message == "prompt has no effect with the method small; leave it out"
        job = client.wait(client.post("/jobs", body).json["id"], "done", "failed")
        assert job["state"] == "done", job["error"]
        preview = client.post("/previews", {**body, "at_s": 0, "seconds": 0}).json["id"]
        assert client.wait(preview, "done", "failed")["result"]["frames"] == 1
        shown = serving.until(lambda: (c := client.get(f"/jobs/{preview}/comparison").json)["state"] == "ready" and c)
        for each in (shown["video"], shown["stills"]["before"], shown["crops"][0]["after"]):
            assert client.get(each["url"]).status == 200
        assert client.get(f"/files/picture?path={films}/a.mp4&width=32").body[:2] == b"\xff\xd8"
    words = shlex.split(job["command"])
    output = Path(words[3])
    made = output.read_bytes()
    assert main([*words[1:], "--overwrite", "-q"]) == 0
    assert output.read_bytes() == made
