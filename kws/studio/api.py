"""The addresses that the studio's pages call: each is one call of a workflow, with JSON in and out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from kws.config import to_dict
from kws.errors import ConfigError, KwsError
from kws.studio.jobs import Jobs
from kws.studio.state import job_state, project_state, take_state
from kws.studio.uploads import UploadLimits, read_json, received_file, shown_name
from kws.workflows.project import exporting, speaking
from kws.workflows.project.folder import Project, as_role, create_project, open_project
from kws.workflows.project.recordings import ProjectLimits, receive_take
from kws.workflows.project.report import CURVE
from kws.workflows.project.training import Method

T = TypeVar("T")
MOST_PROJECTS = 200
"""Projects in one folder."""
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; sandbox"
"""What the report of `kws eval` may do: it is one file with all that it shows, and runs nothing."""


@dataclass
class StudioState:
    """What all addresses share.

    Attributes:
        parent: folder of the projects.
        jobs: the trainings.
        uploads: how much a request may bring.
        limits: what a project may hold.
        num_waiting: uploads that are being received.
    """

    parent: Path
    jobs: Jobs = field(default_factory=Jobs)
    uploads: UploadLimits = field(default_factory=UploadLimits)
    limits: ProjectLimits = field(default_factory=ProjectLimits)
    num_waiting: int = 0
    decoding: anyio.Semaphore | None = None

    def project(self, request: Request) -> Project:
        """Return the project that an address names.

        Raises:
            HTTPException: 404, there is none.
        """
        try:
            return open_project(self.parent, request.path_params["project"])
        except ConfigError as error:
            raise HTTPException(404, str(error)) from error

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count an upload while it is received.

        Raises:
            HTTPException: 503, too many wait.
        """
        if self.num_waiting >= self.uploads.waiting:
            raise HTTPException(503, "too many files at once; wait a little")
        self.num_waiting += 1
        try:
            yield
        finally:
            self.num_waiting -= 1

    def turn(self) -> anyio.Semaphore:
        """Return what lets a few files be decoded at once; it belongs to the loop that asks first."""
        if self.decoding is None:
            self.decoding = anyio.Semaphore(self.uploads.at_once)
        return self.decoding


def of(request: Request) -> StudioState:
    """Return what the addresses share."""
    return cast(StudioState, request.app.state.studio)


async def called(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call a workflow beside the loop.

    Raises:
        HTTPException: 400, with what a person can mend.
    """
    try:
        return await run_in_threadpool(function, *arguments, **named)
    except KwsError as error:
        raise HTTPException(400, str(error)) from error


async def create(request: Request) -> Response:
    """Make a project; answers with its name."""
    studio, values = of(request), await read_json(request, of(request).uploads)
    if studio.parent.is_dir() and sum(1 for _ in studio.parent.iterdir()) >= MOST_PROJECTS:
        raise HTTPException(400, f"{studio.parent}: holds {MOST_PROJECTS} projects; remove some first")
    keyword, language = _text(values, "keyword", 200), _text(values, "language", 20) or "en"
    project = await called(create_project, studio.parent, keyword, language)
    return JSONResponse({"name": project.folder.name}, 201)


async def state(request: Request) -> Response:
    """Answer with everything that the page of a project shows."""
    studio = of(request)
    return JSONResponse(await called(project_state, studio.project(request), studio.jobs))


async def change(request: Request) -> Response:
    """Change settings of a project."""
    studio, values = of(request), await read_json(request, of(request).uploads)
    project = studio.project(request)
    changed: dict[str, Any] = {}
    for name in ("false_accepts_per_hour", "threshold"):
        if isinstance(values.get(name), (int, float)) and not isinstance(values[name], bool):
            changed[name] = float(values[name])
    lexicon = values.get("lexicon")
    if isinstance(lexicon, dict):
        changed["lexicon"] = await called(_known_way, project, lexicon, _text(values, "spelled", 100))
    await called(project.change, **changed)
    if "threshold" in values and values["threshold"] is None:
        await called(project.forget_threshold)
    if "threshold" in values and project.model is not None:
        await called(exporting.export_project, project)
    return JSONResponse({"ok": True})


def _known_way(project: Project, lexicon: dict[str, Any], spelled: str) -> dict[str, list[str]]:
    """Return a lexicon that is one of those that were offered, or an empty one."""
    settings = project.settings()
    ways = speaking.ways_to_say(settings.keyword, settings.language, spelled)
    if lexicon and lexicon not in [way.lexicon for way in ways]:
        raise ConfigError("`lexicon`: is none of the ways that were offered; pick one of these")
    return lexicon


async def ways(request: Request) -> Response:
    """Answer with how the keyword can be said, and with voices to hear it in."""
    settings = of(request).project(request).settings()
    spelled = request.query_params.get("spelled", "")[:100]
    found = await called(speaking.ways_to_say, settings.keyword, settings.language, spelled)
    voices = await called(speaking.voices_to_hear, settings.language)
    return JSONResponse({"ways": [to_dict(way) for way in found], "voices": voices})


async def say(request: Request) -> Response:
    """Answer with a voice that says the keyword, or one of the ways to say it, as WAV."""
    settings = of(request).project(request).settings()
    voice, number = request.query_params.get("voice", ""), request.query_params.get("way", "")
    spelled = request.query_params.get("spelled", "")[:100]
    text = settings.keyword
    if number:
        found = await called(speaking.ways_to_say, settings.keyword, settings.language, spelled)
        if not number.isdecimal() or int(number) >= len(found):
            raise HTTPException(404, "no such way to say it")
        text, english = found[int(number)].said, bool(found[int(number)].lexicon)
        voice = speaking.SAYS_PHONES if english else f"espeak:{settings.language}"
    elif voice not in await called(speaking.voices_to_hear, settings.language):
        raise HTTPException(404, "no such voice")
    with tempfile.TemporaryDirectory(prefix="kws-studio-") as folder:
        path = await called(speaking.say_text, voice, text, Path(folder, "said.wav"))
        return Response(path.read_bytes(), media_type="audio/wav")


async def add_take(request: Request) -> Response:
    """Take a recording as the body of the request; answers with it and what is wrong with it."""
    studio, query = of(request), request.query_params
    project, name = studio.project(request), query.get("name", "")
    try:
        role = as_role(query.get("role", ""))
    except ConfigError as error:
        raise HTTPException(400, str(error)) from error
    with studio.place():
        async with received_file(request, name, studio.uploads) as path, studio.turn():
            take = await called(
                receive_take,
                project,
                role,
                path,
                speaker=query.get("speaker", "")[:100],
                origin=shown_name(name),
                text=query.get("text", "")[:300],
                limits=studio.limits,
            )
    return JSONResponse(take_state(take), 201)


async def keep_take(request: Request) -> Response:
    """Use a recording that was set aside."""
    project = of(request).project(request)
    return JSONResponse(take_state(await _of_take(project.keep, request)))


async def delete_take(request: Request) -> Response:
    """Delete a recording."""
    await _of_take(of(request).project(request).remove, request)
    return JSONResponse({"ok": True})


async def play_take(request: Request) -> Response:
    """Answer with a recording."""
    project = of(request).project(request)
    take = await _of_take(project.take, request)
    return FileResponse(project.folder / take.name)


async def _of_take(function: Callable[[str], T], request: Request) -> T:
    """Call what takes the name of a recording; one that is not there is 404."""
    try:
        return await run_in_threadpool(function, request.path_params["name"])
    except ConfigError as error:
        raise HTTPException(404, str(error)) from error


async def start_job(request: Request) -> Response:
    """Start a training, or go on with one that was stopped."""
    studio, values = of(request), await read_json(request, of(request).uploads)
    method = values.get("method")
    if method not in ("typed", "trained"):
        raise HTTPException(400, "`method`: typed or trained")
    project = studio.project(request)
    await called(studio.jobs.start, project, cast(Method, method), resume=values.get("resume") is True)
    return JSONResponse(job_state(studio.jobs.state(project)), 202)


async def show_job(request: Request) -> Response:
    """Answer with the state of the training."""
    studio = of(request)
    return JSONResponse(job_state(await called(studio.jobs.state, studio.project(request))))


async def cancel_job(request: Request) -> Response:
    """Stop the training."""
    studio, project = of(request), of(request).project(request)
    await called(studio.jobs.cancel, project)
    return JSONResponse(job_state(studio.jobs.state(project)))


async def show_report(request: Request) -> Response:
    """Answer with the report of the evaluation, or its curve."""
    project, name = of(request).project(request), request.path_params["name"]
    path = project.report / name
    if name not in (CURVE, "report.html") or not path.is_file():
        raise HTTPException(404, "no report yet")
    headers = {"content-security-policy": REPORT_POLICY} if name == "report.html" else {}
    return FileResponse(path, headers=headers)


async def export_model(request: Request) -> Response:
    """Answer with the model as a file to keep."""
    path = await called(exporting.export_project, of(request).project(request))
    return FileResponse(path, filename=path.name, media_type="application/octet-stream")


async def export_browser(request: Request) -> Response:
    """Answer with the folder for a browser, as a zip file to keep."""
    path = await called(exporting.browser_zip, of(request).project(request))
    return FileResponse(path, filename=path.name, media_type="application/zip")


def _text(values: dict[str, Any], key: str, longest: int) -> str:
    found = values.get(key, "")
    if not isinstance(found, str) or len(found) > longest:
        raise HTTPException(400, f"`{key}`: expected a text of at most {longest} letters")
    return found


def routes() -> list[Route]:
    """Return the addresses below ``/api``."""
    of_project = "/api/projects/{project}"
    return [
        Route("/api/projects", create, methods=["POST"]),
        Route(of_project, state),
        Route(of_project, change, methods=["PATCH"]),
        Route(f"{of_project}/ways", ways),
        Route(f"{of_project}/say", say),
        Route(f"{of_project}/takes", add_take, methods=["POST"]),
        Route(f"{of_project}/takes/{{name:path}}", play_take),
        Route(f"{of_project}/takes/{{name:path}}", keep_take, methods=["PUT"]),
        Route(f"{of_project}/takes/{{name:path}}", delete_take, methods=["DELETE"]),
        Route(f"{of_project}/job", show_job),
        Route(f"{of_project}/job", start_job, methods=["POST"]),
        Route(f"{of_project}/job", cancel_job, methods=["DELETE"]),
        Route(f"{of_project}/report/{{name}}", show_report),
        Route(f"{of_project}/export/model", export_model),
        Route(f"{of_project}/export/browser", export_browser),
    ]
