"""Passkeys over HTTP: what browsers' WebAuthn is asked, and what it answers."""

from http import HTTPStatus
from typing import Any

import msgspec

from serve.auth import factor_schemas as schemas
from serve.auth.cookies import check_page
from serve.auth.factors import FRESH
from serve.auth.routes import accounts_of, login_answer
from serve.auth.schemas import CookieLogin, LoggedIn
from serve.auth.step_up import stepped_up
from serve.platform.call import Answer, Call, json_answer
from serve.platform.routing import api_router, problems, public_router
from services.accounts.passkeys import BY_PASSKEY

router = public_router("/auth/passkeys", "auth")
own = api_router("/auth/passkeys", "auth")


class _Registered(msgspec.Struct, omit_defaults=True):
    id: str
    name: str
    recovery_codes: tuple[str, ...] = ()


@own.post("/options", response_model=dict[str, Any], responses=problems(_403=FRESH))
async def get_registration_options(call: Call) -> Answer:
    """For `navigator.credentials.create()`: `PublicKeyCredentialCreationOptionsJSON` of WebAuthn."""
    accounts = await stepped_up(call)
    return json_answer(await accounts.passkeys.registration_options(call.actor.subject))


@own.post(
    "",
    status_code=201,
    response_model=schemas.PasskeyRegistered,
    responses=problems(
        _403="Not a person with an account.",
        _409="Registered already, or too many.",
        _422="No answer to options of yours, or they have run out.",
    ),
)
async def register_passkey(call: Call, body: schemas.RegisterPasskey) -> Answer:
    """What the browser has made: a second factor, and a way to log in. Who had no recovery codes gets them."""
    made, codes = await accounts_of(call).passkeys.register(call.actor.subject, body.credential.as_json(), body.name)
    return json_answer(_Registered(made.id, made.name, codes), HTTPStatus.CREATED)


@router.post("/login/options", response_model=dict[str, Any])
async def get_login_options(call: Call) -> Answer:
    """For `navigator.credentials.get()`: `PublicKeyCredentialRequestOptionsJSON` of WebAuthn. Whose passkey it is, is
    seen from the answer. Also for `/auth/reauthenticate`."""
    return json_answer(await accounts_of(call).passkeys.login_options())


@router.post(
    "/login",
    response_model=LoggedIn | CookieLogin,
    responses=problems(
        _401="Not a passkey of anybody here, or the options have run out.",
        _403="Suspended, no member of the organization; or by cookie, and not from a page of ours.",
        _422="The request is not valid.",
    ),
)
async def log_in_by_passkey(call: Call, body: schemas.PasskeyLogin) -> Answer:
    """A login without a password: the passkey is both factors."""
    if body.cookie:
        check_page(call)
    accounts = accounts_of(call)
    user = await accounts.passkeys.prove(body.credential.as_json())
    opened = await accounts.logins.open(
        user, device=body.device, organization_id=body.organization_id or "", amr=BY_PASSKEY
    )
    return login_answer(call, opened, in_cookies=body.cookie)
