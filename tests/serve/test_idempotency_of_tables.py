"""Rule M9 where no entity's journal keeps the answers."""

import asyncio
from typing import Any

from starlette.routing import Route

from domain.errors import Unavailable
from domain.ids import new_id
from serve.app import NOUNS, create_app
from serve.limits import DEFAULTS
from serve.platform.idempotency import prune_forever
from serve.platform.routing import ApiRoute
from tests.serve.house import BREAD, MERCHANT, House
from tests.serve.keyed_answers import MemoryKeyedAnswers
from tests.services.accounts.people import PASSWORD

ROLL = {"merchant_id": MERCHANT, "name": "Roll", "sku": "R1", "price": {"amount": 100, "currency": "EUR"}}
KEY = {"Idempotency-Key": "k"}
SINGLE_USE = {
    # tokens that are good once, a login that may be made twice, a guest that nobody is
    *("login", "refresh", "logout", "verify-email", "reset-password", "guest"),
    # challenges and codes that are good once
    *("options", "verify", "callback", "exchange"),
    # a query changes nothing
    "graphql",
}


async def post(house: House, path: str, body: Any, headers: dict[str, str]) -> Any:
    return await house.http.post(f"/api/v1{path}", json=body, headers=headers)


async def test_a_repeat_has_the_first_answer_whatever_happened_since(house: House) -> None:
    first = await post(house, "/products", ROLL, house.staff() | KEY)
    path = f"/api/v1/products/{first.json()['id']}"
    await house.http.put(path, json=ROLL | {"name": "Bun"}, headers=house.staff())
    again = await post(house, "/products", ROLL, house.staff() | KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert (again.headers["location"], again.headers["idempotent-replayed"]) == (first.headers["location"], "true")
    assert "idempotent-replayed" not in first.headers


async def test_a_put_by_a_key_that_was_used_changes_nothing(house: House) -> None:
    path = f"/api/v1/products/{BREAD}"
    body = ROLL | {"sku": "B1", "name": "Old bread"}
    await house.http.put(path, json=body, headers=house.staff() | KEY)
    await house.http.put(path, json=body | {"name": "New bread"}, headers=house.staff())
    late = await house.http.put(path, json=body, headers=house.staff() | KEY)
    assert (late.status_code, late.json()["name"]) == (200, "Old bread")
    assert (await house.http.get(path)).json()["name"] == "New bread"


async def test_another_body_is_refused_and_another_spelling_is_not(house: House) -> None:
    await post(house, "/products", ROLL, house.staff() | KEY)
    other = await post(house, "/products", ROLL | {"name": "Bun"}, house.staff() | KEY)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    spelled = dict(reversed(ROLL.items()))
    assert (await post(house, "/products", spelled, house.staff() | KEY)).headers["idempotent-replayed"] == "true"


async def test_while_the_first_runs_a_repeat_is_told_to_come_back(house: House) -> None:
    at_it, go = asyncio.Event(), asyncio.Event()
    add = house.catalog.add_product

    async def slow(product: Any) -> bool:
        at_it.set()
        await go.wait()
        return await add(product)

    house.catalog.add_product = slow  # type: ignore[method-assign]
    first = asyncio.create_task(post(house, "/products", ROLL, house.staff() | KEY))
    await at_it.wait()
    early = await post(house, "/products", ROLL, house.staff() | KEY)
    assert (early.status_code, early.json()["code"], early.headers["retry-after"]) == (409, "request_running", "1")
    go.set()
    assert (await first).status_code == 201
    assert (await post(house, "/products", ROLL, house.staff() | KEY)).status_code == 201


async def test_what_was_refused_or_failed_is_decided_anew(house: House) -> None:
    invalid = await post(house, "/products", {"name": "Roll"}, house.staff() | KEY)
    refused = await post(house, "/products", ROLL | {"merchant_id": new_id()}, house.staff() | KEY)
    assert (invalid.status_code, refused.status_code) == (422, 404)
    add = house.catalog.add_product

    async def away(_product: Any) -> bool:
        raise Unavailable("The database does not answer.")

    house.catalog.add_product = away  # type: ignore[method-assign]
    assert (await post(house, "/products", ROLL, house.staff() | KEY)).status_code == 503
    house.catalog.add_product = add  # type: ignore[method-assign]
    assert (await post(house, "/products", ROLL, house.staff() | KEY)).status_code == 201


async def test_a_key_belongs_to_its_subject_and_holds_for_a_day(house: House) -> None:
    first = await post(house, "/products", ROLL, house.staff() | KEY)
    other = house.bearer(new_id(), "merchant_staff", orgs=(MERCHANT,)) | KEY
    taken = await post(house, "/products", ROLL, other)
    assert (taken.status_code, taken.json()["code"]) == (409, "sku_taken")
    house.clock.advance(seconds=DEFAULTS.idempotency_keep_seconds)
    anew = await post(house, "/products", ROLL | {"name": "Bun", "sku": "R2"}, house.staff() | KEY)
    assert anew.status_code == 422, "the product's own id still binds the key to its first body"
    assert (await post(house, "/products", ROLL, house.staff() | KEY)).json() == first.json()


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(house: House) -> None:
    once = house.gateway.once
    assert once is not None

    class Away(MemoryKeyedAnswers):
        async def finish(self, key: bytes, attempt_id: str, answer: bytes) -> None:
            raise Unavailable("The database does not answer.")

    once._store = Away()
    assert (await post(house, "/products", ROLL, house.staff() | KEY)).status_code == 201


async def test_registering_and_forgetting_twice_by_one_key_mails_once(house: House) -> None:
    someone = {"email": "ada@example.test", "password": PASSWORD, "name": "Ada"}
    for path, body in (("register", someone), ("forgot-password", {"email": "ada@example.test"})):
        house.mail.sent.clear()
        for expected in (None, "true"):
            answer = await post(house, f"/auth/{path}", body, KEY)
            assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (202, expected)
        await house.accounts.background.settled()
        assert len(house.mail.sent) == 1


async def test_strangers_who_think_of_the_same_key_do_not_meet(house: House) -> None:
    for address in ("ada@example.test", "bob@example.test"):
        body = {"email": address, "password": PASSWORD, "name": "A"}
        answer = await post(house, "/auth/register", body, KEY)
        assert (answer.status_code, answer.headers.get("idempotent-replayed")) == (202, None)
    await house.accounts.background.settled()
    assert {mail["To"] for mail in house.mail.sent} == {"ada@example.test", "bob@example.test"}


def test_every_mutation_takes_a_key(house: House) -> None:
    """Entities by their journal, what has a sender by the table, single-use tokens by themselves."""
    without = {
        route.path.rpartition("/")[2]
        for route in create_app(NOUNS, house.gateway).routes
        if isinstance(route, Route) and route.methods and not route.methods <= {"GET", "HEAD"}
        if not (isinstance(route, ApiRoute) and (route.of_entities or route._once))
    }
    assert without <= SINGLE_USE, without


async def test_a_condition_that_nothing_can_meet_is_not_ignored(house: House) -> None:
    path = f"/api/v1/products/{BREAD}"
    tag = (await house.http.get(path)).headers["etag"]
    body = ROLL | {"sku": "B1"}
    for condition in (tag, '"1"', tag.removeprefix("W/")):
        answer = await house.http.put(path, json=body, headers=house.staff() | {"If-Match": condition})
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert (await house.http.put(path, json=body, headers=house.staff() | {"If-Match": "*"})).status_code == 200


async def test_old_keys_are_pruned_in_the_background(house: House) -> None:
    store = house.gateway.keyed_answers
    assert isinstance(store, MemoryKeyedAnswers)
    await post(house, "/products", ROLL, house.staff() | KEY)
    house.clock.advance(seconds=DEFAULTS.idempotency_keep_seconds)
    pauses, done = 0, asyncio.Event()

    async def pause(_seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses > 1:
            done.set()
            await asyncio.Event().wait()

    pruning = asyncio.create_task(prune_forever(store, house.clock, pause))
    await done.wait()
    pruning.cancel()
    assert not store.rows
