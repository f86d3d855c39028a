"""`atrium.v1` over real sockets through the real ingress."""

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from domain.ids import new_id
from tests.integration.town import ON_THE_STACK, Town, shown

pytestmark = ON_THE_STACK

ENCODINGS = ("json", "msgpack")


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_device_fills_a_cart_and_watches_it_change(town: Town, encoding):
    subject = new_id()
    async with town.live(town.stack.token(subject), encoding=encoding) as client:
        ent = f"cart/{new_id()}"
        created = await client.command(ent, "create", {"merchant_id": town.merchant_id})
        assert (created.status, created.version) == ("applied", 1)
        watched = await client.subscribe(ent)
        added = await client.command(ent, "add_line", {"product_id": town.bread, "quantity": 2})
        assert (added.version, added.reply) == (2, {"line_id": "1"})
        state = await shown(watched, lambda state: state["version"] == 2)
        path = f"/carts/{ent.removeprefix('cart/')}"
        assert state == (await town.http.get(path, headers=town.bearer(subject))).json()
        wrong = await client.command(ent, "set_quantity", {"line_id": "7", "quantity": 1})
        assert (wrong.status, wrong.code) == ("rejected", "line_not_found")


async def test_what_one_device_does_another_sees_with_its_origin(town: Town):
    subject = new_id()
    cart = await town.cart(town.bearer(subject))
    ent = f"cart/{cart['id']}"
    async with town.wire(subject) as watcher, town.wire(subject, "msgpack") as doer:
        await watcher.say(t="subscribe", id=1, ch=ent)
        assert (await watcher.hear())["t"] == "subscribed"
        snapshot = await watcher.hear()
        assert [(entry["ent"], entry["ver"]) for entry in snapshot["entities"]] == [(ent, 1)]
        await doer.command(1, ent, "add_line", {"product_id": town.bread})
        change = await watcher.hear()
        assert (change["t"], change["ver"]) == ("change", 2)
        assert change["by"] == {"device_id": doer.device_id, "epoch": 1, "seq": 1}


async def test_a_socket_that_comes_back_gets_only_what_it_missed(town: Town):
    subject = new_id()
    cart = await town.cart(town.bearer(subject), 1)
    ent = f"cart/{cart['id']}"
    token = town.stack.token(subject)
    for have, expected in ((cart["version"], []), (cart["version"] - 1, [cart["version"]])):
        async with town.wire(subject, hello=False) as wire:
            welcome = await wire.hello(token, subs=[{"ch": ent, "have": {ent: have}}])
            assert welcome["resumed"] is True
            snapshot = await wire.hear("snapshot")
            assert [entry["ver"] for entry in snapshot["entities"]] == expected


async def test_a_command_that_is_sent_again_after_a_lost_socket_has_its_first_result(town: Town):
    subject = new_id()
    cart = await town.cart(town.bearer(subject))
    ent, token = f"cart/{cart['id']}", town.stack.token(subject)
    async with town.wire(subject) as first:
        original = await first.command(1, ent, "add_line", {"product_id": town.bread})
    async with town.wire(subject, "msgpack", hello=False) as second:
        second.device_id = first.device_id
        await second.hello(token)
        repeat = await second.command(1, ent, "add_line", {"product_id": town.bread})
        reused = await second.command(1, ent, "add_line", {"product_id": town.bread, "quantity": 2})
    assert (original["status"], repeat["status"], repeat["ver"]) == ("applied", "duplicate", original["ver"])
    assert (reused["status"], reused["code"]) == ("rejected", "seq_reuse")


async def test_foreign_channels_are_unknown_and_the_socket_stays_open(town: Town):
    cart = await town.cart(town.bearer(new_id()))
    async with town.wire(new_id()) as wire:
        await wire.say(t="subscribe", id=7, ch=f"cart/{cart['id']}")
        error = await wire.hear()
        assert (error["t"], error["ref"], error["code"], error["temporary"]) == ("error", 7, "not_found", False)
        await wire.say(t="dance")
        unknown = await wire.hear()
        assert (unknown["t"], unknown["code"]) == ("error", "unknown_type")
        assert (await wire.command(1, f"cart/{cart['id']}", "clear", {}))["code"] == "not_found"


async def test_garbage_closes_its_own_socket_with_the_protocols_code_and_no_other(town: Town):
    subject = new_id()
    cart = await town.cart(town.bearer(subject))
    ent = f"cart/{cart['id']}"
    async with town.wire(subject) as bystander:
        for data, code in (
            ("{", 4501),
            (b"\x00\x01", 4501),
            ('{"t":"command"}', 4501),
            ('{"t":"pong","n":1,"x":"' + "x" * 70_000 + '"}', 4501),
            ('{"t":"hello","v":[1,1]}', 4501),
        ):
            async with town.wire(subject) as wire:
                await wire.socket.send(data)
                assert await wire.close_code() == code
        for first, code in (('{"t":"subscribe","id":1,"ch":"x/1"}', 4502), ('{"t":"hello","v":[9,9]}', 4506)):
            async with town.wire(subject, hello=False) as wire:
                await wire.socket.send(first)
                assert await wire.close_code() == code
        async with town.wire(subject, hello=False) as wire:
            await wire.say(t="hello", v=[1, 1], token="nonsense")
            assert await wire.close_code() == 4500
        assert (await bystander.command(1, ent, "add_line", {"product_id": town.bread}))["status"] == "applied"


async def test_a_frame_far_over_the_limit_takes_down_its_own_socket_only(town: Town):
    subject = new_id()
    cart = await town.cart(town.bearer(subject))
    async with town.wire(subject) as bystander:
        async with town.wire(subject) as wire:
            with contextlib.suppress(ConnectionClosed):
                await wire.socket.send("x" * 40_000_000)
            assert await wire.close_code() in {1006, 1009, 4501}
        result = await bystander.command(1, f"cart/{cart['id']}", "add_line", {"product_id": town.bread})
        assert result["status"] == "applied"


async def test_a_burst_over_the_rate_is_told_to_wait_and_loses_nothing(town: Town):
    subject = new_id()
    cart = await town.cart(town.bearer(subject))
    ent = f"cart/{cart['id']}"
    async with town.live(town.stack.token(subject)) as client:
        adds = [client.command(ent, "add_line", {"product_id": town.bread}) for _ in range(240)]
        async with asyncio.timeout(30):
            results = await asyncio.gather(*adds)
        assert all(result.ok for result in results)
    after = (await town.http.get(f"/carts/{cart['id']}", headers=town.bearer(subject))).json()
    assert after["items_count"] == 240
