"""Who gets in: one browser with the token, from the studio's own page, under the name of this machine."""

from __future__ import annotations

import re

import pytest
from starlette.websockets import WebSocketDisconnect

from kws.studio.app import FOLDER, _own_path
from kws.studio.security import Session
from tests.support.studio import ADDRESS, Studio

PATHS = ["/", "/projects/tone", "/static/project.js", "/static/style.css", "/api/projects/tone", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_there_is_nothing(path: str, studio: Studio):
    answer = studio.stranger.get(path)
    assert answer.status_code == 403 and "tone" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert studio.client.get(path).status_code == (404 if path == "/nothing" else 200)


@pytest.mark.parametrize("cookie", ["", "kws_studio=", "kws_studio=wrong", 'kws_studio="', "a=b; c"])
def test_a_made_up_cookie_opens_nothing(cookie: str, studio: Studio):
    assert studio.stranger.get("/", headers={"cookie": cookie}).status_code == 403


def test_the_token_works_once_and_its_cookie_is_out_of_reach_of_scripts():
    session = Session()
    assert session.take("wrong") is None and not session.knows("") and not session.knows(None)
    cookie = session.take(session.token)
    assert cookie and session.knows(cookie) and cookie != session.token
    assert session.take(session.token) is None


def test_a_second_browser_with_the_same_address_gets_nothing(studio: Studio):
    session = Session()
    from starlette.testclient import TestClient

    from kws.studio.app import create_app

    app = create_app(studio.state, session)
    first, second = (TestClient(app, base_url=ADDRESS) for _ in range(2))
    given = first.get(f"/?token={session.token}", follow_redirects=False)
    assert given.headers["location"] == "/"
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(given.headers["set-cookie"].split("; "))
    assert first.get("/").status_code == 200
    assert second.get(f"/?token={session.token}").status_code == 403
    assert second.get("/").status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[", "10.0.0.1"]
)
def test_another_host_is_refused_as_its_name_may_point_here(host: str, studio: Studio):
    answer = studio.client.get("/", headers={"host": host, "origin": f"http://{host}"})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:9999", "[::1]:8000", "127.0.0.1"])
def test_names_of_this_machine_are_its_own_at_any_port(host: str, studio: Studio):
    cookie = f"kws_studio={studio.client.cookies['kws_studio']}"
    headers = {"host": host, "origin": f"http://{host}", "cookie": cookie}
    assert studio.client.get("/", headers=headers).status_code == 200


ELSEWHERE = ["http://evil.example", "http://127.0.0.1:8001", "null", "http://localhost:8000", "file://"]


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_page_of_another_origin_changes_and_reads_nothing(origin: str, studio: Studio):
    headers = {"origin": origin}
    assert studio.client.get("/api/projects/tone", headers=headers).status_code == 403
    assert studio.client.post("/api/projects", json={"keyword": "hello"}, headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        studio.client.websocket_connect(f"ws{ADDRESS[4:]}/api/projects/tone/live", headers=headers),
    ):
        pass
    assert [path.name for path in studio.state.parent.iterdir()] == ["tone"]


def test_what_changes_something_says_where_it_comes_from(studio: Studio):
    del studio.client.headers["origin"]
    assert studio.client.get("/").status_code == 200
    for method, path in (
        ("POST", "/api/projects"),
        ("DELETE", "/api/projects/tone/job"),
        ("POST", "/language/zh"),
    ):
        assert studio.client.request(method, path).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_calls_another_site_is_refused(site: str, studio: Studio):
    assert studio.client.get("/", headers={"sec-fetch-site": site}).status_code == 403


def test_every_answer_forbids_what_the_page_does_not_need(studio: Studio):
    for path in PATHS:
        headers = studio.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_pages_and_scripts_name_no_other_address():
    files = [path for path in FOLDER.rglob("*") if path.suffix in (".js", ".html", ".css", ".svg")]
    assert len(files) > 15
    for path in files:
        found = set(re.findall(r"(?:https?|wss?):?//[^\s\"'`]*", path.read_text("utf-8")))
        assert found <= {"http://www.w3.org/2000/svg"}, path
        text = path.read_text("utf-8")
        assert "innerHTML" not in text and "eval(" not in text and " style=" not in text, path
        assert not re.search(r"<script(?![^>]*(src=\"/|application/json))|\son\w+=\"", text), path


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/projects//evil", "/\\evil.example", "/projects/..\\x"],
)
def test_a_way_back_leads_nowhere_else(path: str):
    assert _own_path(path) == "/"
    assert _own_path("/projects/tone") == "/projects/tone"


def test_the_language_of_the_pages_is_remembered(studio: Studio):
    assert 'lang="en"' in studio.client.get("/", headers={"accept-language": "fr"}).text
    assert 'lang="zh"' in studio.client.get("/", headers={"accept-language": "zh-CN,en"}).text
    answer = studio.client.post("/language/zh?back=/projects/tone")
    assert answer.url.path == "/projects/tone" and "录下你的声音" in answer.text
