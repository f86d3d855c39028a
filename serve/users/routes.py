"""People's own profiles over HTTP."""

from http import HTTPStatus

from serve.auth.routes import accounts_of
from serve.auth.schemas import Accepted, Account
from serve.auth.shown import user_shown
from serve.platform.call import Answer, Call, json_answer
from serve.platform.routing import api_router, problems
from serve.users import schemas

router = api_router("/users", "users")


@router.get("/profile", response_model=Account, responses=problems(_404="Not a person with an account."))
async def get_profile(call: Call) -> Answer:
    """One's own."""
    return json_answer(user_shown(await accounts_of(call).profiles.get(call.actor.subject)))


@router.put(
    "/profile",
    response_model=Account,
    responses=problems(_404="Not a person with an account.", _422="The request is not valid."),
)
async def put_profile(call: Call, body: schemas.PutProfile) -> Answer:
    """Name, language and time zone. The address has a route of its own."""
    user = await accounts_of(call).profiles.put(
        call.actor.subject, name=body.name, locale=body.locale, time_zone=body.time_zone
    )
    return json_answer(user_shown(user))


@router.post(
    "/profile/email",
    status_code=202,
    response_model=Accepted,
    responses=problems(_403="Not a person with an account.", _422="Not the password, or no address."),
)
async def change_email(call: Call, body: schemas.ChangeEmail) -> Answer:
    """Mail a token to a new address; sent to `/auth/verify-email`, the account has that address, and the old is told.

    The answer is the same for an address that has an account.
    """
    await accounts_of(call).registration.change_email(call.actor.subject, body.password, body.email)
    return Answer(b'{"accepted":true}', HTTPStatus.ACCEPTED)
