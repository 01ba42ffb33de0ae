"""The studio as one application: its pages, what they call, and the guard before both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from kws.errors import KwsError
from kws.pages import environment, style
from kws.studio import api, live
from kws.studio.api import StudioState, of
from kws.studio.security import Guard, Session
from kws.studio.texts import LANGUAGES, choose, table
from kws.workflows.project.exporting import can_export_browser
from kws.workflows.project.folder import list_projects
from kws.workflows.project.recordings import warm_up
from kws.workflows.project.speaking import languages_to_choose

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
STEPS = ("keyword", "voice", "sounds", "train", "report", "live", "export")
"""Parts of the page of a project, in the order of the road."""
UI_AGE_S = 365 * 24 * 3600
"""How long a browser remembers the language of the pages, in seconds."""


def create_app(studio: StudioState, session: Session, host: str = "127.0.0.1") -> Guard:
    """Return the application.

    Args:
        studio: what the addresses share.
        session: of this studio.
        host: that it listens on.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(studio.jobs.stop_all)

    app = Starlette(
        routes=[
            Route("/", home),
            Route("/language/{ui}", pick_language, methods=["POST"]),
            Route("/projects/{project}", show_project),
            Route("/static/style.css", show_style),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
            *api.routes(),
            *live.routes(),
        ],
        exception_handlers={HTTPException: refused, KwsError: refused, Exception: failed},
        lifespan=lifespan,
    )
    app.state.studio = studio
    return Guard(app, session, host)


@cache
def templates() -> Environment:
    """Return the templates of the pages."""
    return environment(FOLDER / "templates")


def page(request: Request, template: str, **values: object) -> Response:
    """Return a page in the language of the person."""
    ui = choose(request.cookies.get("ui"), request.headers.get("accept-language", ""))
    texts = table(ui)
    shown = templates().get_template(template)
    return HTMLResponse(
        shown.render(
            t=texts, texts=texts, ui=ui, lang=ui, languages=LANGUAGES, path=request.url.path, **values
        )
    )


async def home(request: Request) -> Response:
    """Show the projects, and what makes a new one."""
    parent = of(request).parent
    projects = [
        {
            "name": project.folder.name,
            "keyword": project.settings().keyword,
            "num_takes": sum(take.role == "positives" for take in project.takes()),
            "has_model": project.model is not None,
        }
        for project in await run_in_threadpool(list_projects, parent)
    ]
    codes = await run_in_threadpool(languages_to_choose)
    return page(request, "home.html", projects=projects, codes=codes, parent=str(parent))


async def show_project(request: Request) -> Response:
    """Show one project: all steps on one page."""
    project = of(request).project(request)
    response = page(
        request,
        "project.html",
        name=project.folder.name,
        keyword=project.settings().keyword,
        steps=STEPS,
        has_browser=can_export_browser(),
    )
    response.background = BackgroundTask(warm_up, project)
    return response


async def pick_language(request: Request) -> Response:
    """Remember the language of the pages, and go back."""
    response = RedirectResponse(_own_path(request.query_params.get("back", "/")), status_code=303)
    if request.path_params["ui"] in LANGUAGES:
        response.set_cookie("ui", request.path_params["ui"], max_age=UI_AGE_S, samesite="strict")
    return response


def _own_path(path: str) -> str:
    """Return a path of this studio; what names another place is the first page."""
    return path if path.startswith("/projects/") and "\\" not in path and "//" not in path else "/"


async def show_style(request: Request) -> Response:
    """Answer with the style sheet of all pages."""
    return Response(style(), media_type="text/css")


async def refused(request: Request, error: Exception) -> Response:
    """Answer with what is wrong, for a person."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    told = error.detail if isinstance(error, HTTPException) else str(error)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": told}, status)
    ui = choose(request.cookies.get("ui"), request.headers.get("accept-language", ""))
    shown = templates().get_template("wrong.html")
    text = shown.render(
        t=table(ui), ui=ui, lang=ui, languages=LANGUAGES, path="/", told=told, texts=table(ui)
    )
    return HTMLResponse(text, status)


async def failed(request: Request, error: Exception) -> Response:
    """Answer where the studio itself is wrong; the terminal has the trace."""
    return await refused(request, HTTPException(500, f"{type(error).__name__}; the terminal says more"))
