"""The application: routers of nouns, put together for the installation at hand.

Routes are canonical under /api/v1; the same ones answer under /api (`platform/edge.py` rewrites the path), and
the document lists each once.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import Failure
from serve.audit.routes import router as audit
from serve.auth.factors import own as factors_own
from serve.auth.factors import people as factors_people
from serve.auth.factors import router as factors
from serve.auth.keys import router as api_keys
from serve.auth.oidc import own as identities
from serve.auth.oidc import router as oidc
from serve.auth.passkeys import own as passkeys_own
from serve.auth.passkeys import router as passkeys
from serve.auth.routes import own as auth_own
from serve.auth.routes import router as auth
from serve.carts.routes import router as carts
from serve.documentation.charting import router as charting
from serve.documentation.routes import router as documentation
from serve.emergency_access.routes import reviewing as emergency_reviewing
from serve.emergency_access.routes import taking as emergency_taking
from serve.gateway import GatewayRuntime
from serve.graphql.routes import public as graphql_public
from serve.graphql.routes import router as graphql
from serve.jobs.routes import router as jobs
from serve.live.routes import router as live
from serve.locations.routes import public as locations_public
from serve.locations.routes import router as locations
from serve.merchants.routes import public as merchants_public
from serve.merchants.routes import router as merchants
from serve.operations.routes import health
from serve.operations.routes import router as operations
from serve.orders.routes import public as orders_public
from serve.orders.routes import router as orders
from serve.organizations.invitations import own as own_invitations
from serve.organizations.invitations import router as invitations
from serve.organizations.members import router as members
from serve.organizations.routes import router as organizations
from serve.organizations.service_accounts import router as service_accounts
from serve.platform.edge import API_PREFIX, CORRELATION, INSTANCE, Edge
from serve.platform.problems import Problem, problem, title_of
from serve.platform.routing import UNEXPECTED
from serve.platform.traces import traced_requests
from serve.products.routes import public as products_public
from serve.products.routes import router as products
from serve.rooms.routes import router as rooms
from serve.sessions.routes import router as sessions
from serve.treatments.routes import router as treatments
from serve.users.export import router as export
from serve.users.people import router as people
from serve.users.routes import router as users

NOUNS: Final[dict[str, tuple[APIRouter, ...]]] = {
    "carts": (carts,),
    "orders": (orders_public, orders),
    "live": (live,),
    "rooms": (rooms,),
    "sessions": (sessions,),
    "documentation": (charting, documentation),
    "emergency-access": (emergency_taking, emergency_reviewing),
    "treatments": (treatments,),
    "locations": (locations_public, locations),
    "organizations": (organizations, members, invitations, own_invitations, service_accounts),
    "merchants": (merchants_public, merchants),
    "products": (products_public, products),
    "auth": (auth, auth_own, api_keys, factors, factors_own, passkeys, passkeys_own),
    "users": (users, people, export, factors_people),
    "identities": (oidc, identities),
    "jobs": (jobs,),
    "audit": (audit,),
    "graphql": (graphql_public, graphql),
    "operations": (operations,),
}
"""What can be mounted, the busiest first: routes are tried in this order. Health is always there."""


class Application(FastAPI):
    """FastAPI for requests. Sockets are spared its layers: each would keep a frame of every one for life.

    `at_sockets` is the layer that serves them, once there is one.
    """

    at_sockets: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self.at_sockets is not None:
            scope["app"] = self
            await self.at_sockets(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_OTHER_VERSION: Final = re.compile(r"/api/v(?!1/)\d+(/|$)")
_CODES: Final = {404: "not_found", 405: "method_not_allowed"}
_DESCRIPTION: Final = """\
Every path is canonical under `/api/v1`; the same API at its current version answers under `/api`.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Mutations accept `Idempotency-Key`: a
repeat has the first answer, with `Idempotent-Replayed: true`. `ETag` is the entity's version; send it back in
`If-Match` to change only what you have seen. `X-Request-ID` comes back and is in every log line.
"""


def create_app(
    nouns: Iterable[str],
    runtime: GatewayRuntime,
    *,
    lifespan: Lifespan | None = None,
    port_seen: Callable[[int], None] | None = None,
) -> FastAPI:
    """An application with these nouns, working on `runtime`. Raises `KeyError` for an unknown noun."""
    app = _application(nouns, lifespan)
    app.state.runtime = runtime
    requests_max = runtime.limits.requests_in_flight_max
    sockets = [route for route in app.router.routes if isinstance(route, WebSocketRoute)]

    def edge(inner: ASGIApp) -> ASGIApp:
        app.at_sockets = Edge(
            inner,
            metrics=runtime.metrics,
            requests_max=requests_max,
            port_seen=port_seen,
            sockets=sockets,
            limiter=runtime.limiter,
            browsers=runtime.browsers,
        )
        return app.at_sockets if runtime.tracer is None else traced_requests(app.at_sockets, runtime.tracer)

    app.add_middleware(edge)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    return app


def openapi_document(nouns: Iterable[str] = tuple(NOUNS)) -> dict[str, Any]:
    """The OpenAPI 3.1 document, without starting anything."""
    return _application(nouns).openapi()


def _application(nouns: Iterable[str], lifespan: Lifespan | None = None) -> Application:
    app = Application(
        title="Atrium",
        version="1.0.0",
        description=_DESCRIPTION,
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=f"{API_PREFIX}/docs",
        swagger_ui_oauth2_redirect_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    wanted = set(nouns)
    if unknown := wanted - NOUNS.keys():
        raise KeyError(f"no such nouns: {', '.join(sorted(unknown))}")
    built_in = list(app.router.routes)
    app.router.routes.clear()
    for noun, routers in NOUNS.items():
        if noun in wanted:
            for router in routers:
                app.router.routes.extend(router.routes)
    app.router.routes.extend(health.routes)
    app.router.routes.extend(built_in)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            openapi_version="3.1.0",
        )
        schemas = document["components"]["schemas"]
        problem_schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem_schema.pop("$defs", {})
        schemas["Problem"] = problem_schema
        for path in document["paths"].values():
            for operation in path.values():
                _describe_problems(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _describe_problems(operation: dict[str, Any]) -> None:
    """FastAPI describes 422 in its own shape: ours is a problem."""
    refused = operation["responses"].get("422")
    if refused is not None:
        refused["description"] = "The request is not valid: `errors` has field paths."
        refused["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


async def _refused(request: Request, error: Exception) -> Response:
    """What Starlette refuses by itself: unknown paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    failure = Failure(_CODES.get(status, "http_error"), status, title_of(status))
    if status == 404 and _OTHER_VERSION.match(request.scope.get(INSTANCE, "")):
        extra = {"versions": [API_PREFIX.rpartition("/")[2]]}
        failure = Failure("unknown_api_version", 404, "This version of the API is not served here.", extra=extra)
    response = _problem_response(request, failure)
    if status == 405:
        response.headers["allow"] = ", ".join(_allowed(request))
    return response


async def _failed(request: Request, _error: Exception) -> Response:
    return _problem_response(request, UNEXPECTED)


def _problem_response(request: Request, failure: Failure) -> Response:
    scope = request.scope
    status, headers, body = problem(failure, scope.get(INSTANCE, scope["path"]), scope.get(CORRELATION, ""))
    response = JSONResponse(None, status)
    response.body = body
    response.raw_headers = headers
    return response


def _allowed(request: Request) -> list[str]:
    """All methods that the path knows, over all routes that match it."""
    methods: set[str] = set()
    for route in request.app.routes:
        scope = dict(request.scope)
        if hasattr(route, "path_regex") and route.path_regex.match(scope["path"]):
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)
