"""Requests and socket commands as the beginning of a trace, or as what goes on in their caller's."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.platform.edge import CORRELATION
from serve.platform.metrics import UNMATCHED
from storage.tracing.context import within

if TYPE_CHECKING:
    from storage.tracing.tracer import RecordedSpan, Tracer

_TRACEPARENT: Final = b"traceparent"
_SERVER_ERROR: Final = 500


class _TracedRequests:
    """Around the edge, so that the time of its own checks is in the span. Sockets pass by."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        self._app = app
        self._tracer = tracer

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        offered = next((value for name, value in scope["headers"] if name == _TRACEPARENT), b"")
        span = self._tracer.root("request", offered.decode("latin-1"))
        if span is None:
            return self._app(scope, receive, send)
        return self._traced(span, scope, receive, send)

    async def _traced(self, span: "RecordedSpan", scope: Scope, receive: Receive, send: Send) -> None:
        status = 500

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with within(span):
            try:
                await self._app(scope, receive, send_seen)
            finally:
                route = scope.get("route")
                template = UNMATCHED if route is None else route.path
                span.rename(f"{scope['method']} {template}")
                span.note(
                    {
                        "http.request.method": scope["method"],
                        "http.route": template,
                        "http.response.status_code": status,
                        "atrium.correlation": scope.get(CORRELATION, ""),
                    }
                )
                span.end(str(status) if status >= _SERVER_ERROR else "")


def traced_requests(app: ASGIApp, tracer: "Tracer") -> ASGIApp:
    """`app`, with a span around each sampled request. Without a tracer nothing is put around it at all."""
    return _TracedRequests(app, tracer)
