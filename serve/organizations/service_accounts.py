"""Service accounts over HTTP: an organization's machines and their keys, for its admins."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from domain.ids import derived_id
from domain.times import to_rfc3339
from serve.auth import key_schemas as schemas
from serve.auth.keys import FULL, NO_KEY, WRONG, key_shown, new_key_answer
from serve.auth.routes import accounts_of
from serve.auth.step_up import stepped_up
from serve.platform.answers import replayed
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, problems
from serve.platform.schemas import PageQuery
from storage.accounts.api_keys import ServiceAccountRecord

router = api_router("/organizations/{organization_id}/service-accounts", "organizations")

_UNKNOWN = "Unknown, or not its admin."
_FRESH = "Not proved just now: see `/auth/reauthenticate`."


class ShownService(msgspec.Struct):
    id: str
    organization_id: str
    name: str
    roles: tuple[str, ...]
    status: str
    created_at: str
    updated_at: str


@router.post(
    "",
    status_code=201,
    response_model=schemas.ServiceAccount,
    responses=problems(_404=_UNKNOWN, _409="There are too many.", _422=WRONG),
)
async def create_service_account(call: Call, organization_id: Id, body: schemas.CreateServiceAccount) -> Answer:
    """Somebody who is no person: it has roles here, and acts by its keys only."""
    key, services = call.idempotency_key(), accounts_of(call).services
    id_ = "" if key is None else derived_id("service-account", call.actor.subject, organization_id, key)
    earlier = await services.earlier(call.actor, organization_id, body.name, body.roles, id_) if id_ else None
    if earlier is not None:
        return json_answer(_shown(earlier), HTTPStatus.CREATED, replayed(True))
    made = await services.create(call.actor, organization_id, body.name, body.roles, call.correlation, id_)
    return json_answer(_shown(made), HTTPStatus.CREATED)


@router.get("", response_model=schemas.ServiceAccountPage, responses=problems(_404=_UNKNOWN))
async def list_service_accounts(call: Call, organization_id: Id, query: Annotated[PageQuery, Query()]) -> Answer:
    services = accounts_of(call).services
    found = await services.list(call.actor, organization_id, id_of(query.cursor), query.limit + 1)
    items = [_shown(one) for one in found[: query.limit]]
    return page(items, items[-1].id if len(found) > query.limit else None)


@router.get("/{service_id}", response_model=schemas.ServiceAccount, responses=problems(_404=_UNKNOWN))
async def get_service_account(call: Call, organization_id: Id, service_id: Id) -> Answer:
    return json_answer(_shown(await accounts_of(call).services.get(call.actor, organization_id, service_id)))


@router.put("/{service_id}", response_model=schemas.ServiceAccount, responses=problems(_404=_UNKNOWN, _422=WRONG))
async def change_service_account(
    call: Call, organization_id: Id, service_id: Id, body: schemas.CreateServiceAccount
) -> Answer:
    """Another name, other roles: its keys have them from now on."""
    services = accounts_of(call).services
    changed = await services.change(call.actor, organization_id, service_id, body.name, body.roles, call.correlation)
    return json_answer(_shown(changed))


@router.delete("/{service_id}", status_code=204, responses=problems(_404=_UNKNOWN))
async def delete_service_account(call: Call, organization_id: Id, service_id: Id) -> Answer:
    """For ever, with its keys."""
    await accounts_of(call).services.delete(call.actor, organization_id, service_id, call.correlation)
    return Answer(status=HTTPStatus.NO_CONTENT)


@router.post(
    "/{service_id}/suspend", response_model=schemas.ServiceAccount, responses=problems(_404=_UNKNOWN, _422=WRONG)
)
async def suspend_service_account(
    call: Call, organization_id: Id, service_id: Id, body: schemas.SuspendServiceAccount
) -> Answer:
    """Its keys are refused until it is reinstated."""
    services = accounts_of(call).services
    return json_answer(
        _shown(await services.suspend(call.actor, organization_id, service_id, body.reason, call.correlation))
    )


@router.post("/{service_id}/reinstate", response_model=schemas.ServiceAccount, responses=problems(_404=_UNKNOWN))
async def reinstate_service_account(call: Call, organization_id: Id, service_id: Id) -> Answer:
    services = accounts_of(call).services
    return json_answer(_shown(await services.reinstate(call.actor, organization_id, service_id, call.correlation)))


@router.post(
    "/{service_id}/keys",
    status_code=201,
    response_model=schemas.CreatedApiKey,
    responses=problems(_403=_FRESH, _404=_UNKNOWN, _409=FULL, _422=WRONG),
)
async def create_service_key(call: Call, organization_id: Id, service_id: Id, body: schemas.NewKeyBody) -> Answer:
    accounts = accounts_of(call)
    owner = await accounts.services.owner(call.actor, organization_id, service_id)
    keys = (await stepped_up(call)).keys
    return new_key_answer(
        await keys.create(call.actor, owner, name=body.name, scopes=body.scopes, days=body.expires_in_days)
    )


@router.get("/{service_id}/keys", response_model=schemas.ApiKeys, responses=problems(_404=_UNKNOWN))
async def list_service_keys(call: Call, organization_id: Id, service_id: Id) -> Answer:
    accounts = accounts_of(call)
    owner = await accounts.services.owner(call.actor, organization_id, service_id)
    return json_answer({"items": [key_shown(one) for one in await accounts.keys.list(owner.id)]})


@router.post(
    "/{service_id}/keys/{key_id}/rotate",
    status_code=201,
    response_model=schemas.CreatedApiKey,
    responses=problems(_403=_FRESH, _404=NO_KEY, _409=FULL, _422=WRONG),
)
async def rotate_service_key(
    call: Call, organization_id: Id, service_id: Id, key_id: Id, body: schemas.RotateApiKey
) -> Answer:
    accounts = accounts_of(call)
    owner = await accounts.services.owner(call.actor, organization_id, service_id)
    keys = (await stepped_up(call)).keys
    return new_key_answer(await keys.rotate(call.actor, owner, key_id, body.overlap_seconds))


@router.delete("/{service_id}/keys/{key_id}", status_code=204, responses=problems(_404=NO_KEY))
async def revoke_service_key(call: Call, organization_id: Id, service_id: Id, key_id: Id) -> Answer:
    accounts = accounts_of(call)
    owner = await accounts.services.owner(call.actor, organization_id, service_id)
    await accounts.keys.revoke(call.actor, owner, key_id)
    return Answer(status=HTTPStatus.NO_CONTENT)


def _shown(record: ServiceAccountRecord) -> ShownService:
    return ShownService(
        record.id,
        record.organization_id,
        record.name,
        record.roles,
        record.status,
        to_rfc3339(record.created_at_ms),
        to_rfc3339(record.updated_at_ms),
    )
