"""People's own profiles, preferences and positions over HTTP."""

from http import HTTPStatus

import msgspec

from serve.auth.routes import accounts_of
from serve.auth.schemas import Accepted
from serve.platform.answers import versioned
from serve.platform.call import Answer, Call, etag, json_answer
from serve.platform.routing import api_router, looks_at_if_match, problems
from serve.users import schemas
from serve.users.shown import position_shown, profile_shown
from services.accounts.preferences import Preferences

router = api_router("/users", "users")

_NOBODY = problems(_404="Not a person with an account.")


@router.get("/profile", response_model=schemas.Profile, responses=_NOBODY)
async def get_profile(call: Call) -> Answer:
    """One's own."""
    user = await accounts_of(call).profiles.get(call.actor.subject)
    return versioned(call, user.version, msgspec.json.encode(profile_shown(user)))


@router.put(
    "/profile",
    response_model=schemas.Profile,
    responses=problems(
        _404="Not a person with an account.", _412="Changed meanwhile.", _422="The request is not valid."
    ),
)
@looks_at_if_match
async def put_profile(call: Call, body: schemas.PutProfile) -> Answer:
    """Name, telephone number, language and time zone. The address has a route of its own."""
    user = await accounts_of(call).profiles.put(
        call.actor.subject,
        name=body.name,
        phone=body.phone,
        locale=body.locale,
        time_zone=body.time_zone,
        expected=call.expected_version(),
    )
    return json_answer(profile_shown(user), headers=[(b"etag", etag(user.version))])


@router.post(
    "/profile/email",
    status_code=202,
    response_model=Accepted,
    responses=problems(
        _403="Not a person with an account, or logged in without their second factor.",
        _422="Not the password, or no address.",
    ),
)
async def change_email(call: Call, body: schemas.ChangeEmail) -> Answer:
    """Mail a token to a new address; sent to `/auth/verify-email`, the account has that address, and the old is told.

    The answer is the same for an address that has an account.
    """
    accounts = accounts_of(call)
    await accounts.step_up.check_factor(call.verified)
    await accounts.registration.change_email(call.actor.subject, body.password, body.email)
    return Answer(b'{"accepted":true}', HTTPStatus.ACCEPTED)


@router.get("/preferences", response_model=schemas.Preferences, responses=_NOBODY)
async def get_preferences(call: Call) -> Answer:
    """One's own; what was never chosen is as by default."""
    return json_answer(await accounts_of(call).personal.preferences(call.actor.subject))


@router.put(
    "/preferences",
    response_model=schemas.Preferences,
    responses=problems(_404="Not a person with an account.", _422="The request is not valid."),
)
async def put_preferences(call: Call, body: schemas.Preferences) -> Answer:
    """In the place of all that was chosen before."""
    wanted = msgspec.convert(body.model_dump(), Preferences)
    return json_answer(await accounts_of(call).personal.put_preferences(call.actor.subject, wanted))


@router.get("/location", response_model=schemas.Position, responses=_NOBODY)
async def get_location(call: Call) -> Answer:
    """Where one said that one is; empty when that has run out."""
    position = await accounts_of(call).personal.position(call.actor.subject)
    return json_answer({} if position is None else position_shown(position))


@router.post(
    "/location",
    response_model=schemas.Position,
    responses=problems(_404="Not a person with an account.", _422="The request is not valid."),
)
async def put_location(call: Call, body: schemas.PutPosition) -> Answer:
    """Keep one's own position: sealed, to a hundredth of a degree, for a day."""
    return json_answer(
        position_shown(await accounts_of(call).personal.put_position(call.actor.subject, body.lat, body.lon))
    )


@router.delete("/location", status_code=204, responses=_NOBODY)
async def forget_location(call: Call) -> Answer:
    """Withdraw consent: the position is deleted."""
    await accounts_of(call).personal.forget_position(call.actor.subject)
    return Answer(status=HTTPStatus.NO_CONTENT)
