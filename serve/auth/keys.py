"""One's own API keys over HTTP. No key can make, rotate or revoke one."""

from http import HTTPStatus

import msgspec

from domain.times import to_rfc3339
from serve.auth import key_schemas as schemas
from serve.auth.routes import accounts_of
from serve.auth.step_up import stepped_up
from serve.platform.call import Answer, Call, json_answer
from serve.platform.routing import Id, api_router, problems
from services.accounts.api_keys import NewKey, Owner
from storage.accounts.api_keys import PERSON, ApiKeyRecord

router = api_router("/auth/api-keys", "auth")

FRESH = "Not a person with an account, not proved just now (see `/auth/reauthenticate`), or no role there."
NO_KEY = "Unknown, at its end, or not yours."
FULL = "There are too many keys: revoke one first."
WRONG = "The request is not valid."


class ShownKey(msgspec.Struct, omit_defaults=True, kw_only=True):
    id: str
    prefix: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    expires_at: str
    organization_id: str = ""
    last_used_at: str = ""
    key: str = ""


@router.post(
    "",
    status_code=201,
    response_model=schemas.CreatedApiKey,
    responses=problems(_403=FRESH, _409=FULL, _422=WRONG),
)
async def create_api_key(call: Call, body: schemas.CreateApiKey) -> Answer:
    """A key that speaks for oneself, within its scopes, until it runs out or is revoked."""
    keys = (await stepped_up(call)).keys
    owner = await keys.own(call.actor, body.organization_id or "")
    new = await keys.create(call.actor, owner, name=body.name, scopes=body.scopes, days=body.expires_in_days)
    return new_key_answer(new)


@router.get("", response_model=schemas.ApiKeys)
async def list_api_keys(call: Call) -> Answer:
    """One's own keys that hold, the newest first. The keys themselves are not kept."""
    found = await accounts_of(call).keys.list(call.actor.subject)
    return json_answer({"items": [key_shown(one) for one in found]})


@router.post(
    "/{key_id}/rotate",
    status_code=201,
    response_model=schemas.CreatedApiKey,
    responses=problems(_403=FRESH, _404=NO_KEY, _409=FULL, _422=WRONG),
)
async def rotate_api_key(call: Call, key_id: Id, body: schemas.RotateApiKey) -> Answer:
    """A new key in the place of this one, which goes on for the overlap."""
    keys = (await stepped_up(call)).keys
    return new_key_answer(await keys.rotate(call.actor, _own(call), key_id, body.overlap_seconds))


@router.delete("/{key_id}", status_code=204, responses=problems(_404=NO_KEY))
async def revoke_api_key(call: Call, key_id: Id) -> Answer:
    """It is refused from now on, and sockets that it opened are closed."""
    await accounts_of(call).keys.revoke(call.actor, _own(call), key_id)
    return Answer(status=HTTPStatus.NO_CONTENT)


def new_key_answer(new: NewKey) -> Answer:
    return json_answer(key_shown(new.record, new.key), HTTPStatus.CREATED)


def key_shown(record: ApiKeyRecord, key: str = "") -> ShownKey:
    return ShownKey(
        id=record.id,
        prefix=record.prefix,
        name=record.name,
        scopes=record.scopes,
        created_at=to_rfc3339(record.created_at_ms),
        expires_at=to_rfc3339(record.expires_at_ms),
        organization_id=record.organization_id,
        last_used_at=to_rfc3339(record.last_used_at_ms) if record.last_used_at_ms else "",
        key=key,
    )


def _own(call: Call) -> Owner:
    return Owner(PERSON, call.actor.subject)
