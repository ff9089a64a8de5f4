"""Jobs from their creation to their end, over HTTP and with a fake engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import serving
from serving import Client, film

from limpid.presets import LOOKS


def create(client: Client, source: str, **more: object) -> str:
    answer = client.post("/jobs", {"input": source, **more})
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


def test_a_job_is_done_and_its_result_can_be_read(client: Client, films: Path) -> None:
    job = create(client, film(films / "a.mp4"), settings={"scale": 2, "crf": 20})
    done = client.wait(job)
    assert done["output"] == str(films / "a_x2.mp4")
    assert done["command"] == f"limpid upscale {films}/a.mp4 {films}/a_x2.mp4 --scale=2 --crf=20"
    assert done["segments"] == {"done": 3, "of": 3}
    assert done["result"]["exists"]
    assert (done["result"]["frames"], done["result"]["kind"], done["result"]["has_sidecar"]) == (3, "video", True)
    assert client.get(f"/jobs/{job}/result").body == (films / "a_x2.mp4").read_bytes()
    part = client.get(f"/jobs/{job}/result", Range="bytes=10-19")
    assert (part.status, part.body) == (206, (films / "a_x2.mp4").read_bytes()[10:20])
    assert client.get(f"/jobs/{job}/result", Range="bytes=99999-").status == 416
    assert client.get(f"/jobs/{job}/sidecar").headers["content-type"] == "application/json"


def test_a_failed_job_says_what_the_command_line_says_and_can_be_tried_again(client: Client, films: Path) -> None:
    source = film(films / "a.mp4", fail="a.mp4: there are no frames in it")
    job = create(client, source)
    failed = client.wait(job, "failed")
    assert failed["error"] == {"message": "a.mp4: there are no frames in it", "exit_code": 3}
    assert "there are no frames" in client.get(f"/jobs/{job}/log").body.decode()
    film(films / "a.mp4")
    assert client.post(f"/jobs/{job}/retry").json["state"] == "queued"
    assert client.wait(job)["attempt"] == 2


def test_pause_keeps_segments_and_resume_goes_on(client: Client, films: Path) -> None:
    job = create(client, film(films / "a.mp4", segments=30, delay_s=0.05))
    serving.until(lambda: client.get(f"/jobs/{job}").json["segments"]["done"] >= 2)
    assert client.post(f"/jobs/{job}/pause").status == 200
    client.wait(job, "paused")
    kept = len(list((films / ".a_x4.mp4.limpid").glob("*.seg")))
    assert kept >= 2
    assert client.post(f"/jobs/{job}/pause").code == "state"
    assert client.get("/queue").json["order"] == [job]
    film_text = (films / "a.mp4").read_text()
    client.post(f"/jobs/{job}/resume")
    assert client.wait(job)["attempt"] == 2
    assert (films / "a.mp4").read_text() == film_text
    assert (films / "a_x4.mp4.made").read_text() == "made\n"


def test_cancel_stops_and_delete_removes_segments_but_no_result(client: Client, films: Path) -> None:
    done = create(client, film(films / "done.mp4"))
    client.wait(done)
    job = create(client, film(films / "a.mp4", segments=500, delay_s=0.05))
    serving.until(lambda: client.get(f"/jobs/{job}").json["segments"]["done"])
    assert client.delete(f"/jobs/{job}").code == "state"
    client.post(f"/jobs/{job}/cancel")
    client.wait(job, "cancelled")
    assert (films / ".a_x4.mp4.limpid").is_dir()
    for each in (job, done):
        assert client.delete(f"/jobs/{each}").status == 204
        assert client.get(f"/jobs/{each}").status == 404
    assert not (films / ".a_x4.mp4.limpid").exists()
    assert (films / "done_x4.mp4").is_file()
    assert (films / "a.mp4").is_file()


def test_the_queue_can_be_ordered_held_and_widened(client: Client, films: Path) -> None:
    client.patch("/queue", {"paused": True})
    a, b, c = (create(client, film(films / f"{name}.mp4", segments=50, delay_s=0.05)) for name in "abc")
    assert client.get("/queue").json == {"order": [a, b, c], "running": [], "at_once": 1, "paused": True}
    assert client.put("/queue", {"order": [c, "unknown", b]}).json["order"] == [c, b, a]
    assert client.get(f"/jobs/{b}").json["position"] == 1
    client.patch("/queue", {"paused": False, "at_once": 2})
    serving.until(lambda: set(client.get("/queue").json["running"]) == {c, b})
    assert client.state(a) == "queued"
    for job in (a, b, c):
        client.post(f"/jobs/{job}/cancel")
    for job in (a, b, c):
        client.wait(job, "cancelled")


def test_the_same_key_makes_one_job(client: Client, films: Path) -> None:
    body = {"input": film(films / "a.mp4")}
    first = client.post("/jobs", body, Idempotency_Key="k1")
    again = client.post("/jobs", body, Idempotency_Key="k1")
    assert (first.status, again.status) == (201, 200)
    assert first.json["id"] == again.json["id"]
    other = client.post("/jobs", {**body, "overwrite": True}, Idempotency_Key="k1")
    assert (other.status, other.code) == (422, "idempotency")
    client.wait(first.json["id"])


def test_two_jobs_do_not_make_the_same_file(client: Client, films: Path) -> None:
    source = film(films / "a.mp4", segments=100, delay_s=0.05)
    job = create(client, source)
    second = client.post("/jobs", {"input": source, "settings": {"crf": 3}})
    assert (second.status, second.code) == (409, "exists")
    client.post(f"/jobs/{job}/cancel")
    client.wait(job, "cancelled")


def test_what_cannot_be_is_refused_before_it_is_queued(client: Client, films: Path) -> None:
    source = film(films / "a.mp4")
    (films / "there.mp4").write_text("mine")
    (films / "notes.txt").write_text("mine")
    for body, status, code in [
        ({"input": source, "settings": {"crf": 99}}, 422, "settings"),
        ({"input": source, "settings": {"scale": 2, "height": 100}}, 422, "settings"),
        ({"input": source, "settings": {"nix": 1}}, 422, "settings"),
        ({"input": source, "output": str(films / "there.mp4")}, 422, "output"),
        ({"input": source, "output": source, "overwrite": True}, 422, "output"),
        ({"input": str(films / "notes.txt")}, 422, "input"),
        ({"input": str(films / "nix.mp4")}, 404, "not_found"),
        ({"input": source, "preset": "nix"}, 422, "settings"),
        ({"input": source, "sudo": True}, 400, "bad_request"),
        ({"input": 7}, 400, "bad_request"),
        ({}, 400, "bad_request"),
    ]:
        answer = client.post("/jobs", body)
        assert (answer.status, answer.code) == (status, code), answer.body
        assert answer.message
    assert client.get("/jobs").json["total"] == 0
    crf = client.post("/jobs", {"input": source, "settings": {"crf": 99}})
    assert crf.message == "crf is 99; it must be 0 or more and at most 51"


def test_check_names_the_output_and_the_command(client: Client, films: Path) -> None:
    source = film(films / "a b.mp4")
    (films / "out").mkdir()
    found = client.post(
        "/check", {"input": source, "output": str(films / "out"), "settings": {"detect_cuts": False}}
    ).json
    assert found["output"] == str(films / "out" / "a b_x4.mp4")
    assert found["argv"][-1] == "--no-detect-cuts"
    assert found["command"].startswith(f"limpid upscale '{films}/a b.mp4'")
    assert not found["output_exists"]
    assert client.get("/jobs").json["total"] == 0


def test_the_plan_is_that_of_a_dry_run(client: Client, films: Path) -> None:
    found = client.post("/plan", {"input": film(films / "a.mp4", segments=7)}).json
    assert found["plan"]["segments"] == 7
    assert found["estimate"]["calibrated"]
    assert found["clip"]["width"] == 64
    bad = client.post("/plan", {"input": film(films / "b.mp4", fail="no frames")})
    assert (bad.status, bad.code, bad.message) == (422, "input", "no frames")
    assert not (films / "a_x4.mp4").exists()


def test_history_can_be_searched(client: Client, films: Path) -> None:
    names = ["holiday.mp4", "Birthday.mp4", "work.mp4"]
    made = {name: create(client, film(films / name)) for name in names}
    for job in made.values():
        client.wait(job)
    assert [job["name"] for job in client.get("/jobs?search=BIRTH").json["jobs"]] == ["Birthday.mp4"]
    assert client.get("/jobs?state=failed").json["jobs"] == []
    page = client.get("/jobs?limit=2").json
    assert [job["name"] for job in page["jobs"]] == ["work.mp4", "Birthday.mp4"]
    rest = client.get(f"/jobs?limit=2&before={page['next']}").json
    assert ([job["name"] for job in rest["jobs"]], rest["next"]) == (["holiday.mp4"], None)
    assert client.get("/jobs?state=nix").status == 400


def test_settings_of_a_waiting_job_can_be_changed(client: Client, films: Path) -> None:
    client.patch("/queue", {"paused": True})
    job = create(client, film(films / "a.mp4"))
    changed = client.patch(f"/jobs/{job}", {"settings": {"crf": 30}, "output": str(films / "b.mp4")})
    assert (changed.json["settings"], changed.json["output"]) == ({"crf": 30}, str(films / "b.mp4"))
    client.patch("/queue", {"paused": False})
    client.wait(job)
    assert client.patch(f"/jobs/{job}", {"settings": {}}).code in ("state", "output")


@pytest.mark.parametrize(
    "settings", [{"cluster": "203.0.113.1:6379"}, {"workers": "2"}, {"mixed": True}, {"wait_s": 9}]
)
def test_a_job_cannot_choose_the_machines_that_compute_it(
    client: Client, films: Path, settings: dict[str, str]
) -> None:
    said = client.post("/jobs", {"input": film(films / "a.mp4"), "settings": settings})
    assert (said.status, said.code) == (422, "settings")
    assert "cannot choose the machines" in said.json["error"]["message"]


def test_presets_are_kept_and_used(client: Client, films: Path) -> None:
    kept = client.put("/presets/my%20film", {"settings": {"scale": 2, "crf": 9}, "description": "for films"})
    assert kept.json == {
        "name": "my film",
        "description": "for films",
        "settings": {"scale": 2.0, "crf": 9},
        "builtin": False,
    }
    body = {"input": film(films / "a.mp4"), "preset": "my film", "settings": {"height": 96}}
    assert client.post("/check", body).json["argv"][-2:] == ["--height=96", "--crf=9"]
    assert client.put("/presets/..%2Fx", {"settings": {}}).status in (404, 422)
    assert client.put("/presets/x", {"settings": {"crf": -1}}).code == "settings"
    kept = client.get("/presets").json["presets"]
    assert [each["name"] for each in kept] == ["my film", *LOOKS]
    assert [each["builtin"] for each in kept] == [False, *(True for _ in LOOKS)]
    assert client.put("/presets/film", {"settings": {}}).code == "settings"
    assert client.delete("/presets/film").status == 404
    argv = client.post("/check", {"input": body["input"], "preset": "phone", "settings": {"detail": 1}}).json["argv"]
    assert argv[-3:] == ["--preset-name=phone", "--detail=1", "--deinterlace=off"]
    assert client.delete("/presets/my%20film").status == 204
    assert client.delete("/presets/my%20film").status == 404


@pytest.mark.parametrize("path", ["/health", "/server", "/settings/schema", "/methods", "/files", "/metrics"])
def test_what_a_page_asks_first_is_answered(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 200, answer.body


def test_folders_list_what_can_be_an_input(client: Client, films: Path) -> None:
    for name in ("b10.mp4", "b2.mp4", "x.txt", ".hidden.mp4", "sub/c.png", "sub/d.png", "sub/e.txt"):
        film(films / name)
    (films / "link.mp4").symlink_to("/etc/passwd")
    found = client.get(f"/files?path={films}").json
    assert [(entry["name"], entry["kind"]) for entry in found["entries"]] == [
        ("sub", "folder"),
        ("b2.mp4", "video"),
        ("b10.mp4", "video"),
    ]
    assert (found["parent"], found["clip"]) == (None, False)
    inner = client.get(f"/files?path={films}/sub").json
    assert (inner["parent"], inner["clip"]) == (str(films), True)
    assert [crumb["name"] for crumb in inner["crumbs"]] == ["films", "sub"]
    assert [entry["name"] for entry in client.get("/files").json["entries"]] == ["films", "Uploads"]
