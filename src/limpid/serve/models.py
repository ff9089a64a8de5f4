"""The forms of requests and answers: the first are checked by them, both documented (docs/serve-api.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from limpid.serve.jobs import JobKind, JobState

PathText = Annotated[str, Field(min_length=1, max_length=4096, description="absolute, inside the roots")]
SettingsObject = Annotated[dict[str, Any], Field(description="by the names of GET /settings/schema")]
PresetName = Annotated[str, Field(max_length=64)]
Natural = Annotated[int, Field(ge=0, le=2**53)]


class Asked(BaseModel):
    """A body: unknown names and values of another kind are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class JobBody(Asked):
    input: PathText
    output: Annotated[str, Field(max_length=4096)] | None = None
    settings: SettingsObject = {}
    preset: PresetName | None = None
    overwrite: bool = False


class JobChange(Asked):
    output: Annotated[str, Field(max_length=4096)] | None = None
    settings: SettingsObject | None = None
    overwrite: bool | None = None


class PreviewBody(Asked):
    input: PathText
    settings: SettingsObject = {}
    preset: PresetName | None = None
    at_s: Annotated[float, Field(ge=0, le=1e6, strict=False)] = 0.0
    seconds: Annotated[float, Field(ge=0, le=10, strict=False, description="0: one frame")] = 2.0


class ComparisonBody(Asked):
    start_s: Annotated[float, Field(ge=0, le=1e6, strict=False)] = 0.0
    seconds: Annotated[float, Field(gt=0, le=30, strict=False)] = 10.0


class OrderBody(Asked):
    order: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=10_000)]


class QueueChange(Asked):
    at_once: Annotated[int, Field(ge=1, le=64)] | None = None
    paused: bool | None = None


class PresetBody(Asked):
    description: Annotated[str, Field(max_length=500)] = ""
    settings: SettingsObject


class UploadBody(Asked):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    size: Natural
    batch: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] | None = None
    folder: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class WatchBody(Asked):
    folder: PathText
    output_folder: PathText
    settings: SettingsObject = {}
    preset: PresetName | None = None


class WatchChange(Asked):
    paused: bool


# ---------------------------------------------------------------------------------------------------- answers


class ErrorAbout(BaseModel):
    code: str
    message: str
    field: str | None


class ErrorAnswer(BaseModel):
    error: ErrorAbout


class ProgressView(BaseModel):
    stage: str
    stage_text: str
    done: float | None
    total: float | None
    fps: float | None
    eta_s: float | None


class SegmentsView(BaseModel):
    done: int
    of: int | None


class JobError(BaseModel):
    message: str
    exit_code: int | None


class ResultView(BaseModel):
    frames: int | None
    seconds: float | None
    fps: float | None
    exists: bool
    kind: Literal["video", "image", "folder"] | None
    size_bytes: int | None
    media_type: str | None
    has_sidecar: bool


class JobView(BaseModel):
    id: str
    kind: JobKind
    state: JobState
    stopping: Literal["paused", "cancelled"] | None
    input: str
    output: str
    name: str
    settings: dict[str, Any]
    preset: str | None
    overwrite: bool
    watch: str | None
    command: str
    position: int | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    attempt: int
    progress: ProgressView | None
    segments: SegmentsView
    clip: dict[str, Any] | None
    plan: dict[str, Any] | None
    estimate: dict[str, Any] | None
    notes: list[str]
    warnings: list[str]
    error: JobError | None
    result: ResultView | None


class JobList(BaseModel):
    jobs: list[JobView]
    next: int | None
    total: int


class QueueView(BaseModel):
    order: list[str]
    running: list[str]
    at_once: int
    paused: bool


class CheckView(BaseModel):
    ok: bool
    output: str
    output_exists: bool
    command: str
    argv: list[str]
    notes: list[str]


class PlanView(CheckView):
    clip: dict[str, Any] | None
    plan: dict[str, Any] | None
    estimate: dict[str, Any] | None
    warnings: list[str]


class EntryView(BaseModel):
    name: str
    path: str
    kind: Literal["folder", "video", "image"]
    size_bytes: int | None
    modified_at: float | None
    result: bool


class Crumb(BaseModel):
    name: str
    path: str


class FolderView(BaseModel):
    path: str | None
    parent: str | None
    crumbs: list[Crumb]
    clip: bool
    entries: list[EntryView]
    truncated: bool


class UploadView(BaseModel):
    id: str
    name: str
    size: int
    received: int
    state: Literal["open", "complete"]
    path: str | None
    folder_path: str | None
    created_at: float


class UploadList(BaseModel):
    uploads: list[UploadView]


class PresetView(BaseModel):
    name: str
    description: str
    settings: dict[str, Any]
    builtin: bool


class PresetList(BaseModel):
    presets: list[PresetView]


class WatchView(BaseModel):
    id: str
    folder: str
    output_folder: str
    settings: dict[str, Any]
    preset: str | None
    paused: bool
    error: str | None
    waiting: int
    made: int
    failed: int


class WatchList(BaseModel):
    watches: list[WatchView]


class HealthView(BaseModel):
    status: Literal["ok"]
    version: str
    api: int
    token_needed: bool
    authenticated: bool
    running: int | None = None
    queued: int | None = None


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals that a path documents, besides those that every path has."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    return {status: {"content": content, "description": _REASONS[status]} for status in (*_ALWAYS, *statuses)}


def as_component() -> dict[int | str, dict[str, Any]]:
    """One refusal whose form is written out, for all the others to refer to."""
    return {421: {"model": ErrorAnswer, "description": _REASONS[421]}}


_ALWAYS = (400, 401, 403, 421, 500, 503)
_REASONS = {
    400: "the request is malformed",
    401: "a token is needed",
    403: "a foreign page, or a path outside the roots",
    404: "there is no such thing",
    405: "no such method here",
    408: "the body did not come in time",
    409: "the state of things does not allow this",
    413: "the body is too large",
    415: "the body is of another kind",
    416: "no such part of the file",
    421: "Host does not name this server",
    422: "refused, in the words of the command line",
    429: "too many",
    500: "a defect in Limpid",
    503: "busy, try again",
    507: "the disk is too full",
}
