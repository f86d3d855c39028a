"""Tokens and logins over HTTP. Nothing here is ever logged but the person's id."""

from http import HTTPStatus
from typing import Final

import msgspec

from domain.errors import NotFound
from domain.times import SECOND_MS, to_rfc3339
from serve.auth import schemas, shown
from serve.auth.cookies import check_page, cleared, cookie_answer, refresh_token_of, renewed
from serve.auth.factor_schemas import Reauthenticate
from serve.platform.caching import KEYS_SECONDS, cacheable
from serve.platform.call import Answer, Call, json_answer
from serve.platform.credentials import by_cookie
from serve.platform.routing import Id, api_router, once_by_key, problems, public_router
from services.accounts.accounts import Accounts
from services.accounts.logins import Opened
from services.accounts.registration import NewUser

router = public_router("/auth", "auth")
own = api_router("/auth", "auth")

_ACCEPTED: Final = b'{"accepted":true}'
_WEAK: Final = "The request is not valid, or the password too easy to guess."
_SPENT: Final = "The token was used, or has run out; or the password is too easy to guess."
_NO_LOGIN: Final = "There is no login in a cookie."
_NOT_OURS: Final = "By cookie, and not from a page of ours."
_LOCKED: Final = "Too many attempts with this address: see `Retry-After`."


class _Guest(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int
    subject: str


def accounts_of(call: Call) -> Accounts:
    """The accounts of this gateway. Raises `NotFound` where there are none."""
    if call.runtime.accounts is None:
        raise NotFound("This gateway has no accounts.")
    return call.runtime.accounts


@router.post("/guest", status_code=201, response_model=schemas.GuestToken)
async def create_guest(call: Call) -> Answer:
    """A token for somebody without a login, to fill a cart with."""
    token, subject, seconds = call.runtime.tokens.issue_guest()
    return json_answer(_Guest(token, "Bearer", seconds, subject), HTTPStatus.CREATED)


@router.get("/jwks.json", response_model=schemas.Jwks)
@cacheable(KEYS_SECONDS)
async def get_jwks(call: Call) -> Answer:
    """The public keys of access tokens (RFC 7517)."""
    return json_answer(call.runtime.tokens.jwks())


@router.post("/register", status_code=202, response_model=schemas.Accepted, responses=problems(_422=_WEAK))
@once_by_key
async def register(call: Call, body: schemas.Register) -> Answer:
    """A new account, pending until the mailed token is sent to `/auth/verify-email`; with the token of an `invitation`
    to this address, active at once, and a member.

    The answer is the same for an address that has an account; its owner is told by mail.
    """
    wanted = NewUser(**body.model_dump(exclude={"invitation"}))
    await accounts_of(call).registration.register(wanted, body.invitation or "")
    return Answer(_ACCEPTED, HTTPStatus.ACCEPTED)


@router.post("/verify-email", response_model=schemas.Account, responses=problems(_422=_SPENT))
async def verify_email(call: Call, body: schemas.VerifyEmail) -> Answer:
    """Open the account, or take over the new address, that the token was mailed for. Log in after it."""
    return json_answer(shown.user_shown(await accounts_of(call).registration.verify(body.token)))


@router.post(
    "/login",
    response_model=schemas.LoggedIn | schemas.CookieLogin,
    responses=problems(
        _401="The address or the password is not right; or a second factor is wanted (`mfa_required`, `challenge`).",
        _403="Not confirmed, suspended, no member of the organization; or by cookie, and not from a page of ours.",
        _422="The request is not valid.",
        _429=_LOCKED,
    ),
)
async def log_in(call: Call, body: schemas.Login) -> Answer:
    """A login session for one device: an access token, and a refresh token for the next one; or both in cookies."""
    if body.cookie:
        check_page(call)
    opened = await accounts_of(call).logins.login(
        body.email, body.password, device=body.device, organization_id=body.organization_id or ""
    )
    return login_answer(call, opened, in_cookies=body.cookie)


@router.post(
    "/refresh",
    response_model=schemas.LoggedIn | schemas.CookieLogin,
    responses=problems(
        _401="The refresh token does not hold: log in again.",
        _403="No member of the organization; or by cookie, and not from a page of ours.",
        _422="The request is not valid.",
    ),
)
async def refresh(call: Call, body: schemas.Refresh) -> Answer:
    """The next access and refresh token. The old one is used up; for 10 s it gives the very same successor again."""
    accounts = accounts_of(call)
    if body.cookie:
        check_page(call)
    token = await refresh_token_of(call, accounts, body.refresh_token, by_cookie=body.cookie)
    opened = await accounts.logins.refresh(token, body.organization_id)
    return login_answer(call, opened, in_cookies=body.cookie)


@router.post(
    "/logout",
    status_code=204,
    responses=problems(_401=_NO_LOGIN, _403=_NOT_OURS, _422="The request is not valid."),
)
async def log_out(call: Call, body: schemas.Logout) -> Answer:
    """End this login, and every access token that it gave."""
    accounts = accounts_of(call)
    token = await refresh_token_of(call, accounts, body.refresh_token, by_cookie=body.cookie)
    await accounts.logins.logout(token)
    answer = Answer(status=HTTPStatus.NO_CONTENT)
    return cleared(answer) if body.cookie else answer


def login_answer(call: Call, opened: Opened, *, in_cookies: bool) -> Answer:
    """The login's tokens, in the body or in cookies."""
    if in_cookies:
        return cookie_answer(call, accounts_of(call), opened)
    return json_answer(shown.login_shown(opened, call.runtime.tokens))


@router.post(
    "/forgot-password",
    status_code=202,
    response_model=schemas.Accepted,
    responses=problems(_422="The request is not valid."),
)
@once_by_key
async def forgot_password(call: Call, body: schemas.ForgotPassword) -> Answer:
    """Mail a token for a new password, if the address has an account."""
    await accounts_of(call).recovery.forgot(body.email)
    return Answer(_ACCEPTED, HTTPStatus.ACCEPTED)


@router.post("/reset-password", status_code=204, responses=problems(_422=_SPENT))
async def reset_password(call: Call, body: schemas.ResetPassword) -> Answer:
    """A new password by the mailed token. All logins end."""
    await accounts_of(call).recovery.reset(body.token, body.password)
    return Answer(status=HTTPStatus.NO_CONTENT)


@own.post(
    "/change-password",
    status_code=204,
    responses=problems(
        _403="Not a person with an account, or logged in without their second factor.",
        _422="Not the password, or the new one is weak.",
    ),
)
async def change_password(call: Call, body: schemas.ChangePassword) -> Answer:
    """A new password by the old one. All logins end, this one too."""
    accounts = accounts_of(call)
    await accounts.step_up.check_factor(call.verified)
    await accounts.recovery.change(call.actor.subject, body.current_password, body.password)
    return Answer(status=HTTPStatus.NO_CONTENT)


@own.post(
    "/reauthenticate",
    response_model=schemas.AccessToken,
    responses=problems(_403="Not a person with an account.", _422="Not the password, the code or the passkey."),
)
async def reauthenticate(call: Call, body: Reauthenticate) -> Answer:
    """An access token with a fresh `auth_time`: the `proof` that signing asks for. By the password, and a code of
    whoever has second factors; or by a passkey, with the options of `/auth/passkeys/login/options`."""
    logins, login = accounts_of(call).logins, call.verified.login
    if body.passkey is not None:
        opened = await logins.reauthenticate_by_passkey(call.actor, body.passkey.as_json(), login)
    else:
        opened = await logins.reauthenticate(call.actor, body.password or "", body.code or "", login)
    answer = json_answer(shown.access_shown(opened, call.runtime.tokens))
    return renewed(answer, call, opened) if by_cookie(call.fields) else answer


@own.get("/session", response_model=schemas.Session)
async def get_session(call: Call) -> Answer:
    """Who the access token speaks for, and the organizations they could act for."""
    accounts = accounts_of(call)
    verified = call.verified
    try:
        user = shown.user_shown(await accounts.profiles.get(call.actor.subject))
    except NotFound:
        user = None  # a guest
    held = {} if user is None else await accounts.members.of_user(call.actor.subject, inactive=False)
    names = await call.runtime.organizations.names(held)
    return json_answer(
        shown.ShownSession(
            subject=call.actor.subject,
            roles=call.actor.roles,
            organizations=call.actor.organizations,
            expires_at=to_rfc3339(verified.expires * SECOND_MS),
            memberships=[shown.ShownMembership(id_, roles, names.get(id_, "")) for id_, roles in held.items()],
            authenticated_at=to_rfc3339(verified.auth_time * SECOND_MS) if verified.auth_time else "",
            amr=verified.amr,
            scopes=tuple(sorted(verified.scopes or ())),
            user=user,
        )
    )


@own.get("/sessions", response_model=schemas.LoginSessions)
async def list_login_sessions(call: Call) -> Answer:
    """One's own login sessions that still hold, last used first."""
    found = await accounts_of(call).logins.list(call.actor.subject)
    return json_answer({"items": [shown.login_session_shown(login) for login in found]})


@own.delete("/sessions", response_model=schemas.Revoked)
async def revoke_login_sessions(call: Call) -> Answer:
    """End all of one's own login sessions."""
    return json_answer({"revoked": await accounts_of(call).logins.revoke(call.actor.subject)})


@own.delete("/sessions/{session_id}", status_code=204, responses=problems(_404="Unknown, ended, or not yours."))
async def revoke_login_session(call: Call, session_id: Id) -> Answer:
    """End one of one's own login sessions."""
    await accounts_of(call).logins.revoke(call.actor.subject, session_id)
    return Answer(status=HTTPStatus.NO_CONTENT)
