"""What keeps strangers out of the studio: an address that works once, a cookie, and checks of each request.

A page of another site may make a browser send requests to this machine. Each request is refused unless it
names this machine as its host, comes from the studio's own page, and carries the cookie of its session.
"""

from __future__ import annotations

import ipaddress
import secrets
import threading
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "kws_studio"
COOKIE_AGE_S = 30 * 24 * 3600
"""How long a browser keeps the cookie, in seconds; it is worth nothing once the studio has ended."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self' {live}; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
REFUSED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>kws studio</title>
<main><h1>This page is not open to you</h1><p>Open the address that <code>kws studio</code> printed when it
started. It works once, in one browser. Start <code>kws studio</code> again for a new one.</p>
<p lang="zh">请打开 <code>kws studio</code> 启动时显示的地址，它只能使用一次。</p></main></html>"""


class Session:
    """The one session of a studio: a token that is taken once, and the cookie that is given for it."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self._is_taken = False
        self._lock = threading.Lock()

    def take(self, token: str) -> str | None:
        """Return the value of the cookie for the right token, the first time; else None."""
        with self._lock:
            right = secrets.compare_digest(token.encode(), self.token.encode())
            if self._is_taken or not right:
                return None
            self._is_taken = True
            return self._cookie

    def knows(self, cookie: str | None) -> bool:
        """Tell whether a cookie is that of this session."""
        return cookie is not None and secrets.compare_digest(cookie.encode(), self._cookie.encode())


class Guard:
    """Checks every request and websocket before the application sees it.

    Args:
        app: what is guarded.
        session: of this studio.
        host: that the studio listens on.
    """

    def __init__(self, app: ASGIApp, session: Session, host: str = "127.0.0.1") -> None:
        self._app, self._session, self._host = app, session, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed, answer the address with the token, and refuse the rest."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        told = self.refusal(scope, headers)
        if told is None:
            cookie = read_cookie(headers)
            if self._session.knows(cookie):
                await self._app(scope, receive, self._with_headers(send, headers.get("host", "")))
                return
            told = "no session"
            if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/":
                token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
                given = self._session.take(token)
                if given is not None:
                    await self._with_cookie(given)(scope, receive, self._with_headers(send, ""))
                    return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403, "reason": told})
            return
        response = HTMLResponse(REFUSED, status_code=403)
        await response(scope, receive, self._with_headers(send, ""))

    def refusal(self, scope: Scope, headers: Headers) -> str | None:
        """Return why a request is refused whoever sends it; None where it is not."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_own(host):
            return "wrong host"
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if origin is None:
            if changes:
                return "no origin"
        elif urlsplit(origin).netloc != host or urlsplit(origin).scheme not in ("http", "https"):
            return "wrong origin"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "wrong site"
        return None

    def _is_own(self, host: str) -> bool:
        """Tell whether a Host header names this machine: a name that somebody else owns never does.

        The port is not compared, as it may be forwarded, by ssh for instance.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in ("localhost", self._host):
            return True
        try:
            address = ipaddress.ip_address(name)
            return address.is_loopback or ipaddress.ip_address(self._host).is_unspecified
        except ValueError:
            return False

    def _with_cookie(self, value: str) -> RedirectResponse:
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(COOKIE, value, max_age=COOKIE_AGE_S, path="/", httponly=True, samesite="strict")
        return response

    def _with_headers(self, send: Send, host: str) -> Send:
        """Return ``send`` that adds the headers of all answers; what a route has set itself stays."""
        policy = POLICY.format(live=f"ws://{host} wss://{host}" if host else "")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "content-security-policy": policy}.items():
                    headers.setdefault(name, value)
            await send(message)

        return sent


def read_cookie(headers: Headers) -> str | None:
    """Return the value of the studio's cookie; None where there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
