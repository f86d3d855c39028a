"""What stands before a request reaches Serve's own code in a replica.

Serve loads this by name: `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve.ingress_middlewares.middlewares`, in
the environment that starts the cluster.
"""

import re
from typing import Final

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

ECHOED: Final = "atrium.request_id_echoed"
"""In the scope: Serve, behind which this runs, sends the request id back by itself."""
IMPORT_PATH: Final = "serve.ingress_middlewares.middlewares"

_TIMEOUT: Final = b"x-request-timeout-seconds"
_UNWATCHED: Final = b"x-request-disconnect-disabled"
_REQUEST_ID: Final = b"x-request-id"
_HANDSHAKE: Final = (b"sec-websocket-", b"upgrade", b"connection")
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._:\-]{8,128}")


class StripHeaders:
    """Takes out what a stranger must not say to Serve, and says what this house wants of it.

    The time-out header would end a request at the client's wish, with an answer of Serve's own. A malformed
    request id would be echoed. And a request is not to be cancelled because its client has gone: a command
    that began is carried to its end, and a socket's session hears of it by itself. That also spares Serve two tasks
    and a queue per request: 10 KB of every idle socket.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http" or kind == "websocket":  # noqa: PLR1714 - on the path of every request
            headers = [pair for pair in scope["headers"] if not _is_refused(*pair)]
            if kind == "websocket":  # Serve keeps them as long as the socket, and the handshake's are read by now
                headers = [pair for pair in headers if not pair[0].startswith(_HANDSHAKE)]
            headers.append((_UNWATCHED, b"?1"))
            scope["headers"] = headers
            scope[ECHOED] = True
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Serve asks for."""
    return [Middleware(StripHeaders)]


def _is_refused(name: bytes, value: bytes) -> bool:
    if not name.startswith(b"x-request-"):
        return False
    return name in {_TIMEOUT, _UNWATCHED} or (name == _REQUEST_ID and not _WELL_FORMED.fullmatch(value))
