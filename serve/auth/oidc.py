"""Logins by other providers over HTTP: the browser's way there and back, and who people are there."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import Query
from fastapi.responses import RedirectResponse

from domain.errors import AtriumError, NotFound
from domain.times import to_rfc3339
from serve.auth import oidc_schemas as schemas
from serve.auth import shown
from serve.auth.cookies import check_page, cookie_answer
from serve.auth.routes import accounts_of
from serve.auth.schemas import CookieLogin, LoggedIn
from serve.platform.call import Answer, Call, json_answer
from serve.platform.problems import RawHeaders
from serve.platform.routing import Id, api_router, parse_body, problems, public_router
from services.oidc.oidc import Oidc
from storage.accounts.identities import IdentityRecord

router = public_router("/auth/oidc", "auth")
own = api_router("/auth/identities", "auth")

_UNKNOWN: Final = "There is no such provider."
_AWAY: Final = "The provider cannot be reached now."
_NOT_HOLDING: Final = "The login does not hold: begin again."
_BACK: Final = {
    303: {"description": "To the page that began, with `#code=…` or `#error=…`."},
    **problems(_401=_NOT_HOLDING, _404=_UNKNOWN, _422="The request is not valid.", _503=_AWAY),
}


class _Provider(msgspec.Struct):
    name: str
    label: str


class _Code(msgspec.Struct):
    code: str
    expires_in: int


class _Identity(msgspec.Struct, omit_defaults=True):
    id: str
    provider: str
    linked_at: str
    last_used_at: str = ""


def oidc_of(call: Call) -> Oidc:
    """The login providers of this gateway. Raises `NotFound` where there are none."""
    if call.runtime.oidc is None:
        raise NotFound("This gateway knows no login providers.")
    return call.runtime.oidc


@router.get("", response_model=schemas.Providers)
async def list_providers(call: Call) -> Answer:
    """Whom people can log in by, besides a password."""
    known = [each.settings for each in oidc_of(call).flows.providers]
    return json_answer({"items": [_Provider(each.name, each.label or each.name) for each in known]})


@router.get(
    "/{provider}/start",
    status_code=303,
    response_class=RedirectResponse,
    responses=problems(_404=_UNKNOWN, _422="The request is not valid, or leads to a foreign page.", _503=_AWAY),
)
async def start_login(call: Call, provider: str, query: Annotated[schemas.StartQuery, Query()]) -> Answer:
    """Send the browser to the provider. What it must bring back is in a cookie that no page can read."""
    oidc = oidc_of(call)
    started = await oidc.flows.start(provider, challenge=query.challenge, return_to=query.return_to, fresh=query.fresh)
    cross_site = oidc.flows.provider(provider).settings.response_mode == "form_post"
    cookie = _cookie(oidc, started.cookie, oidc.limits.flow_ttl_seconds, cross_site=cross_site)
    return _redirect(started.location, [cookie])


@router.get("/{provider}/callback", response_model=schemas.Code, responses=_BACK)
async def come_back(call: Call, provider: str, query: Annotated[schemas.CallbackQuery, Query()]) -> Answer:
    """Where the provider sends the browser. The page that began gets a code for one minute and one use."""
    return await _come_back(call, provider, query)


@router.post("/{provider}/callback", response_model=schemas.Code, responses=_BACK, openapi_extra=schemas.CALLBACK_FORM)
async def come_back_by_form(call: Call, provider: str) -> Answer:
    """The same for providers that answer by a form (`response_mode` `form_post`)."""
    fields = msgspec.json.encode(await call.read_form())
    return await _come_back(call, provider, parse_body(schemas.CallbackQuery, fields))


@router.post(
    "/exchange",
    response_model=LoggedIn | CookieLogin,
    responses=problems(
        _401="The code does not hold, or a second factor is asked for.",
        _403="The provider vouches for no address; the account is suspended, or no member of the organization; or by "
        "cookie, and not from a page of ours.",
        _409="There is an account with this address that has to link this login itself.",
        _422="The request is not valid.",
    ),
)
async def exchange(call: Call, body: schemas.Exchange) -> Answer:
    """Log in by the code that the browser came back with. Whoever has no account gets one."""
    if body.cookie:
        check_page(call)
    opened = await oidc_of(call).identities.log_in(
        body.code, body.verifier, device=body.device, organization_id=body.organization_id or ""
    )
    if body.cookie:
        return cookie_answer(call, accounts_of(call), opened)
    return json_answer(shown.login_shown(opened, call.runtime.tokens))


@own.get("", response_model=schemas.Identities)
async def list_identities(call: Call) -> Answer:
    """The providers that one can log in by."""
    found = await oidc_of(call).identities.list(call.actor.subject)
    return json_answer({"items": [_shown(each) for each in found]})


@own.post(
    "",
    status_code=201,
    response_model=schemas.Identity,
    responses=problems(
        _403="No account, or the login was too long ago.",
        _409="Somebody else logs in by it, or there are too many.",
        _422="The request is not valid.",
    ),
)
async def link_identity(call: Call, body: schemas.Redeem) -> Answer:
    """Link a provider to one's own account, by the code that the browser came back with. Needs a login just now."""
    linked = await oidc_of(call).identities.link(call.verified, body.code, body.verifier)
    return json_answer(_shown(linked), HTTPStatus.CREATED)


@own.delete(
    "/{identity_id}",
    status_code=204,
    responses=problems(_403="The login was too long ago.", _404="Unknown, or not yours.", _409="The last way in."),
)
async def unlink_identity(call: Call, identity_id: Id) -> Answer:
    """Take a provider from one's own account. Needs a login just now."""
    await oidc_of(call).identities.unlink(call.verified, identity_id)
    return Answer(status=HTTPStatus.NO_CONTENT)


async def _come_back(call: Call, provider: str, said: schemas.CallbackQuery) -> Answer:
    oidc = oidc_of(call)
    cookie = call.cookies.get(_cookie_name(oidc), "")
    flow = await oidc.flows.under_way(provider, cookie, said.state)
    over = [_cookie(oidc, "", 0)]
    try:
        finished = await oidc.flows.finish(provider, flow, said.model_dump(exclude_defaults=True))
    except AtriumError as error:
        if not flow.return_to:
            raise
        return _redirect(f"{flow.return_to}#error={error.failure.code}", over)
    if not finished.return_to:
        return json_answer(_Code(finished.code, oidc.limits.code_ttl_seconds), headers=over)
    return _redirect(f"{finished.return_to}#code={finished.code}", over)


def _redirect(location: str, headers: RawHeaders) -> Answer:
    return Answer(status=HTTPStatus.SEE_OTHER, headers=[(b"location", location.encode()), *headers])


def _cookie(oidc: Oidc, value: str, seconds: int, *, cross_site: bool = False) -> tuple[bytes, bytes]:
    """It holds no login: only what a login under way must match."""
    parts = [f"{_cookie_name(oidc)}={value}", "Path=/", f"Max-Age={seconds}", "HttpOnly"]
    if _is_secure(oidc):
        parts += ["Secure", f"SameSite={'None' if cross_site else 'Lax'}"]
    else:
        parts.append("SameSite=Lax")
    return b"set-cookie", "; ".join(parts).encode()


def _cookie_name(oidc: Oidc) -> str:
    """With the prefix, browsers take it from this very host only."""
    return "__Host-atrium-oidc" if _is_secure(oidc) else "atrium-oidc"


def _is_secure(oidc: Oidc) -> bool:
    return oidc.public_url.startswith("https://")


def _shown(identity: IdentityRecord) -> _Identity:
    return _Identity(
        identity.id,
        identity.provider,
        to_rfc3339(identity.linked_at_ms),
        to_rfc3339(identity.last_used_at_ms) if identity.last_used_at_ms else "",
    )
