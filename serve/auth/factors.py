"""Second factors over HTTP: authenticator apps, recovery codes, the list, and their end."""

import msgspec

from domain.times import to_rfc3339
from serve.auth import factor_schemas as schemas
from serve.auth.cookies import check_page
from serve.auth.routes import accounts_of, login_answer
from serve.auth.schemas import CookieLogin, LoggedIn
from serve.auth.step_up import stepped_up
from serve.platform.call import Answer, Call, json_answer
from serve.platform.routing import Id, api_router, problems, public_router
from services.accounts.enrolment import Factor

router = public_router("/auth/mfa", "auth")
own = api_router("/auth/mfa", "auth")
people = api_router("/users", "users")

FRESH = "Not a person with an account, or not proved just now: see `/auth/reauthenticate`."


class ShownFactor(msgspec.Struct, omit_defaults=True):
    id: str
    kind: str
    name: str
    created_at: str
    last_used_at: str = ""
    backed_up: bool = False


class _Confirmed(msgspec.Struct, omit_defaults=True):
    confirmed: bool
    recovery_codes: tuple[str, ...] = ()


@router.post(
    "/verify",
    response_model=LoggedIn | CookieLogin | schemas.FactorConfirmed,
    responses=problems(
        _401="The code is not right, or the challenge has run out.",
        _403="Suspended, no member of the organization any more; or by cookie, and not from a page of ours.",
        _422="The request is not valid.",
        _429="Too many attempts: see `Retry-After`.",
    ),
)
async def verify_factor(call: Call, body: schemas.VerifyFactor) -> Answer:
    """Answer a challenge by a code. One of a login (`mfa_required`): you are logged in. One of an enrolment: the
    authenticator app is a factor from now on, and who had no recovery codes gets them."""
    if body.cookie:
        check_page(call)
    accounts = accounts_of(call)
    challenge = await accounts.factors.challenged(body.challenge, "login", "enrolment")
    if challenge.purpose == "enrolment":
        return json_answer(_Confirmed(True, await accounts.enrolments.confirm(challenge, body.code)))
    return login_answer(call, await accounts.logins.finish(challenge, body.code), in_cookies=body.cookie)


@own.post(
    "/enroll",
    response_model=schemas.EnrolmentBegun,
    responses=problems(_403=FRESH, _409="There is an authenticator app already.", _422="The request is not valid."),
)
async def enroll_factor(call: Call, body: schemas.Enroll) -> Answer:
    """A secret for an authenticator app (TOTP: SHA-1, 6 digits, 30 s). It is a factor once `/auth/mfa/verify` has had
    its first code; begun again, the one before is void."""
    accounts = await stepped_up(call)
    return json_answer(await accounts.enrolments.begin(call.actor.subject, body.name))


@own.get("/factors", response_model=schemas.Factors)
async def list_factors(call: Call) -> Answer:
    """One's own second factors, the oldest first."""
    found, left = await accounts_of(call).enrolments.list(call.actor.subject)
    return json_answer({"items": [_shown(one) for one in found], "recovery_codes_left": left})


@own.delete("/factors/{factor_id}", status_code=204, responses=problems(_403=FRESH, _404="Unknown, or not yours."))
async def remove_factor(call: Call, factor_id: Id) -> Answer:
    """Give up a factor. With the last one the recovery codes go, and the password is enough."""
    accounts = await stepped_up(call)
    await accounts.enrolments.remove(call.actor.subject, factor_id)
    return Answer(status=204)


@own.post(
    "/recovery-codes", response_model=schemas.RecoveryCodes, responses=problems(_403=FRESH, _409="There is no factor.")
)
async def make_recovery_codes(call: Call) -> Answer:
    """New recovery codes; the old ones are void."""
    accounts = await stepped_up(call)
    return json_answer({"recovery_codes": await accounts.enrolments.regenerate(call.actor.subject)})


@people.post(
    "/{user_id}/factors/reset",
    response_model=schemas.FactorsReset,
    responses=problems(_403=FRESH, _404="Unknown, or not yours to reset.", _422="The request is not valid."),
)
async def reset_factors(call: Call, user_id: Id, body: schemas.ResetFactors) -> Answer:
    """Remove all factors of somebody who has lost them, and end their logins. For the platform's admins; audited, and
    the person is told."""
    accounts = accounts_of(call)
    accounts.enrolments.check_may_reset(call.actor)
    await accounts.step_up.check(call.verified)
    count = await accounts.enrolments.reset(call.actor, user_id, body.reason, correlation=call.correlation)
    return json_answer({"removed": count})


def _shown(factor: Factor) -> ShownFactor:
    return ShownFactor(
        id=factor.id,
        kind=factor.kind,
        name=factor.name,
        created_at=to_rfc3339(factor.created_at_ms),
        last_used_at=to_rfc3339(factor.last_used_at_ms) if factor.last_used_at_ms else "",
        backed_up=factor.backed_up,
    )
