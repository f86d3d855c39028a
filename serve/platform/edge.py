"""The outermost layer: correlation, admission, metrics and the access log, in one pass over each request.

Pure ASGI, and one layer instead of five, because each costs every request a wrapper.
"""

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec
import structlog
from starlette.routing import Match, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import Failure
from domain.ids import new_id
from serve.ingress_middlewares import ECHOED
from serve.platform.browsers import Browsers
from serve.platform.metrics import UNMATCHED, HttpMetrics
from serve.platform.problems import problem

API_PREFIX: Final = "/api/v1"
CORRELATION: Final = "atrium.correlation"
FIELDS: Final = "atrium.fields"
_REFUSED: Final = 400
_SLOW_SECONDS: Final = 1.0
"""Requests that were refused or took longer are logged at `info`, others at `debug`."""
INSTANCE: Final = "atrium.instance"
SUBJECT: Final = "atrium.subject"
VERIFIED: Final = "atrium.verified"
"""The request's token, when somebody before the route has verified it."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:\-]{8,128}")
_SHORT_PREFIX: Final = "/api/"
_LONG_PREFIX: Final = "/api/v1/"
_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STRIPPED: Final = b"x-request-timeout-seconds"
"""Ray Serve ends a request at the client's own deadline by this header: a stranger must not set it."""
_ONCE: Final = frozenset(
    {
        *(b"authorization", b"content-length", b"content-type", b"cookie", b"host", b"idempotency-key", b"if-match"),
        *(b"origin", b"x-api-key", b"x-csrf-token"),
    }
)
"""Of two of these a proxy may have believed the first and we the last."""

_log = structlog.get_logger("serve.access")


class Verdict(msgspec.Struct, frozen=True):
    """The headers of whatever is answered, and the refusal, None for go on."""

    headers: list[tuple[bytes, bytes]]
    refusal: Failure | None = None


class Limiter(Protocol):
    """Who may ask how often (`serve.platform.rate_limits`)."""

    async def admit(self, scope: Scope) -> Verdict | None:
        """None for what is not limited. A token that holds is left in the scope under `VERIFIED`."""


class Edge:
    """Wraps the whole application.

    Puts into the scope: the correlation id (the client's `X-Request-ID` if it is well-formed, else a fresh
    one; also sent back), the header fields as a dict, and the path as the client wrote it. `/api/…` is
    rewritten to `/api/v1/…` here, so that each route exists once. Past `requests_max` in flight the answer
    is 503 before any work is done. A route's `Call` notes the subject for the access log; nothing personal
    goes into it: no query string, no address, no user agent, no raw path. `port_seen` is told the port of
    the first request. `sockets` are served straight from here.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: HttpMetrics,
        requests_max: int,
        port_seen: Callable[[int], None] | None = None,
        sockets: Sequence[WebSocketRoute] = (),
        limiter: Limiter | None = None,
        browsers: Browsers | None = None,
    ) -> None:
        self._app = app
        self._sockets = tuple(sockets)
        self._limiter = limiter
        self._browsers = browsers or Browsers()
        self._port_seen = port_seen
        self._metrics = metrics
        self._requests_max = requests_max
        self._in_flight = 0

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Not a coroutine: a socket would keep its frame for life."""
        kind = scope["type"]
        if kind == "http":
            return self._request(scope, receive, send)
        if kind == "websocket":
            self._prepare(scope)
            if _twice(scope) or not self._browsers.may_open_socket(scope[FIELDS]):
                return send({"type": "websocket.close", "code": 1008, "reason": "foreign origin"})
        return self._straight(scope)(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        correlation = self._prepare(scope)
        if scope["method"] == "HEAD":
            scope, send = _as_get(scope, send)
        status = 500
        echoed = ECHOED in scope
        verdict: Verdict | None = None
        fields = scope[FIELDS]

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
                headers.extend(self._browsers.headers(scope["path"], fields))
                if not echoed:
                    headers.append((b"x-request-id", correlation.encode()))
                if verdict is not None:
                    headers.extend(verdict.headers)
            await send(message)

        preflight = self._browsers.preflight(scope, fields)
        if preflight is not None:
            await send_marked({"type": "http.response.start", "status": 204, "headers": preflight})
            await send_marked({"type": "http.response.body", "body": b""})
            return
        refusal = _OVERLOADED if self._in_flight >= self._requests_max else _twice(scope)
        if refusal is None and self._limiter is not None:
            verdict = await self._limiter.admit(scope)
            refusal = None if verdict is None else verdict.refusal
        if refusal is not None:
            await _refuse(refusal, scope, send_marked)
            self._observe(scope, status, began)
            return
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_marked)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
            self._observe(scope, status, began)

    def _straight(self, scope: Scope) -> ASGIApp:
        """What serves this socket, past everything between here and there; the whole application for what is none."""
        for route in self._sockets:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route.app
        return self._app

    def _prepare(self, scope: Scope) -> str:
        if self._port_seen is not None and scope.get("server") and scope["server"][1]:
            self._port_seen(scope["server"][1])
            self._port_seen = None
        fields: dict[bytes, bytes] = dict(scope["headers"])
        if _STRIPPED in fields:
            del fields[_STRIPPED]
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != _STRIPPED]
        offered = fields.get(b"x-request-id", b"")
        correlation = offered.decode() if _REQUEST_ID.fullmatch(offered) else new_id()
        path: str = scope["path"]
        scope[INSTANCE] = path
        scope[CORRELATION] = correlation
        scope[FIELDS] = fields
        if path.startswith(_SHORT_PREFIX) and not path.startswith(_LONG_PREFIX):
            scope["path"] = _LONG_PREFIX + path[len(_SHORT_PREFIX) :]
        scope["root_path"] = ""  # the routes carry their whole path, under whatever prefix they were deployed
        return correlation

    def _observe(self, scope: Scope, status: int, began: float) -> None:
        seconds = time.perf_counter() - began
        route = scope.get("route")
        template = UNMATCHED if route is None else route.path
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
        self._metrics.observe(method, template, status, seconds)
        # A line for each success costs an eighth of the gateway's time and tells less than the metrics do.
        say = _log.debug if status < _REFUSED and seconds < _SLOW_SECONDS else _log.info
        say(
            "http_request",
            method=method,
            route=template,
            status=status,
            ms=round(seconds * 1_000, 2),
            correlation=scope[CORRELATION],
            subject=scope.get(SUBJECT, ""),
        )


def _as_get(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """HEAD is GET without the body: the same route, the same headers. The server's own scope stays as it is."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return {**scope, "method": "GET"}, send_head


_OVERLOADED: Final = Failure("overloaded", 503, "Too many requests at once.", retry_after_ms=1_000)


def _twice(scope: Scope) -> Failure | None:
    """The refusal of a request that says something twice which can be said only once."""
    if len(scope["headers"]) == len(scope[FIELDS]):
        return None
    seen: set[bytes] = set()
    for name, _ in scope["headers"]:
        if name in seen and name in _ONCE:
            return Failure("header_repeated", _REFUSED, f"There is more than one `{name.decode()}` header.")
        seen.add(name)
    return None


async def _refuse(failure: Failure, scope: Scope, send: Send) -> None:
    status, headers, body = problem(failure, scope[INSTANCE], scope[CORRELATION])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
