from typing import Any

import pytest

from actors.runtime.entity import Actor
from domain.errors import AtriumError, Forbidden, Invalid, NotFound
from domain.ids import new_command_id, new_id
from services.device_commands import DeviceCommands
from services.entities import Sender
from storage.audit import EventFilter
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import ADDRESS, ALICE, BOB, BREAD, COURIER, MERCHANT, PIZZA, House
from tests.serve.test_rooms import Clinic

ALICES = Actor(ALICE, ("customer",))


@pytest.fixture
def port(house: House) -> DeviceCommands:
    return house.gateway.device_commands


async def run(port: DeviceCommands, ent: str, op: str, args: dict[str, Any], **more: Any) -> Any:
    actor, command_id = more.pop("actor", ALICES), more.pop("command_id", new_command_id())
    sender = Sender(actor, "conn.1", command_id, b"\1" * 16, device="tablet-1")
    return await port.execute(sender, ent, op, args, **more)


async def seen(house: House, ent: str) -> Any:
    return await house.gateway.carts.see(ALICES, ent.removeprefix("cart/"))


async def test_a_device_fills_a_cart_by_itself(house: House, port: DeviceCommands) -> None:
    ent = f"cart/{new_id()}"
    await run(port, ent, "create", {"merchant_id": MERCHANT})
    added = await run(port, ent, "add_line", {"product_id": PIZZA, "options": ["small"], "quantity": 2})
    assert added.data == {"line_id": "1"}
    await run(port, ent, "update_line", {"line_id": "1", "options": ["large"]})
    await run(port, ent, "set_quantity", {"line_id": "1", "quantity": 3})
    cart = await seen(house, ent)
    assert (cart.lines["1"].quantity, cart.subtotal.amount) == (3, 3 * 1_200)


async def test_a_price_from_a_device_counts_for_nothing(house: House, port: DeviceCommands) -> None:
    ent = f"cart/{new_id()}"
    await run(port, ent, "create", {"merchant_id": MERCHANT, "currency": "JPY"})
    await run(port, ent, "add_line", {"product_id": BREAD, "unit_price_minor": 1, "currency": "JPY", "type": "clear"})
    assert (await seen(house, ent)).subtotal.amount == 350


async def test_a_repeat_gives_the_first_result(house: House, port: DeviceCommands) -> None:
    ent, command_id = f"cart/{new_id()}", new_command_id()
    await run(port, ent, "create", {"merchant_id": MERCHANT})
    first = await run(port, ent, "add_line", {"product_id": BREAD}, command_id=command_id)
    again = await run(port, ent, "add_line", {"product_id": BREAD}, command_id=command_id)
    assert (first.duplicate, again.duplicate, again.version) == (False, True, first.version)
    assert (await seen(house, ent)).lines["1"].quantity == 1


async def test_what_belongs_to_processes_is_not_for_devices(house: House, port: DeviceCommands) -> None:
    ent = f"cart/{(await house.new_cart())['id']}"
    for op in ("begin_checkout", "complete_checkout", "cancel_checkout", "reprice", "merge", "mark_merged", "nonsense"):
        with pytest.raises(Invalid) as caught:
            await run(port, ent, op, {"order_id": new_id()})
        assert caught.value.failure.code == "unknown_operation"
    order = await house.new_order()
    for op in ("place", "create", "add_line"):
        with pytest.raises(Invalid):
            await run(port, f"order/{order['id']}", op, {"address": ADDRESS})


async def test_the_name_of_the_operation_cannot_be_smuggled_into_the_arguments(
    house: House, port: DeviceCommands
) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    await run(port, f"cart/{cart['id']}", "set_quantity", {"type": "clear", "line_id": "1", "quantity": 2})
    assert (await seen(house, cart["id"])).lines["1"].quantity == 2


@pytest.mark.parametrize(
    ("op", "args", "path"),
    [
        ("add_line", {}, "$"),
        ("add_line", {"product_id": 7}, "product_id"),
        ("add_line", {"product_id": "\0"}, "product_id"),
        ("add_line", {"product_id": ""}, "product_id"),
        ("create", {"merchant_id": "\0"}, "merchant_id"),
        ("add_line", {"product_id": BREAD, "quantity": "2"}, "quantity"),
        ("add_line", {"product_id": BREAD, "quantity": 0}, "quantity"),
        ("add_line", {"product_id": BREAD, "options": ["x"]}, "options.0"),
        ("set_quantity", {"line_id": "1", "quantity": "many"}, "quantity"),
        ("set_quantity", {"line_id": "1", "quantity": 10**30}, "$"),
        ("add_line", {"product_id": BREAD, "quantity": -(10**30)}, "$"),
    ],
)
async def test_bad_arguments_name_the_field(
    house: House, port: DeviceCommands, op: str, args: dict[str, Any], path: str
) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    with pytest.raises(Invalid) as caught:
        await run(port, f"cart/{cart['id']}", op, args)
    assert [error.path for error in caught.value.failure.errors] == [path]


async def test_strangers_and_unknown_names_get_not_found(house: House, port: DeviceCommands) -> None:
    cart = await house.new_cart()
    for ent in ("cart/x", "nothing/" + new_id(), "cart", "", f"cart/{new_id()}"):
        with pytest.raises(NotFound):
            await run(port, ent, "clear", {})
    with pytest.raises(NotFound):
        await run(port, f"cart/{cart['id']}", "clear", {}, actor=Actor(BOB, ("customer",)))


async def test_a_couriers_position_is_a_signal_and_nothing_else_is(house: House, port: DeviceCommands) -> None:
    order = await house.new_order()
    await house.move(order["id"], house.staff(), "accepted", "preparing", "ready")
    await house.http.post(f"/api/v1/orders/{order['id']}/courier", json={}, headers=house.courier())
    await house.move(order["id"], house.courier(), "picked_up")
    courier, ent = Actor(COURIER, ("courier",)), f"order/{order['id']}"
    await port.signal(courier, ent, "position", {"lat": 52.5, "lon": 13.4}, "phone-1")
    tracking = await house.gateway.orders.tracking(ALICES, order["id"])
    assert len(tracking.trail) == 1
    for name, args, error in (
        ("typing", {}, Invalid),
        ("position", {"lat": "north"}, Invalid),
        ("position", {"lat": 91.0, "lon": 0.0}, AtriumError),
    ):
        with pytest.raises(error):
            await port.signal(courier, ent, name, args, "phone-1")


async def test_a_group_is_its_partys_open_orders_newest_first(house: House) -> None:
    first = await house.new_order()
    house.clock.advance(seconds=1)
    second = await house.new_order()
    house.clock.advance(seconds=1)
    gone = await house.new_order()
    await house.http.post(f"/api/v1/orders/{gone['id']}/cancel", json={}, headers=house.bearer())
    groups, staff = house.gateway.groups, Actor("s", ("merchant_staff",), (MERCHANT,))
    members = await groups.members(f"merchant/{MERCHANT}/orders", staff)
    assert members == [("order", second["id"]), ("order", first["id"])]
    assert await groups.members(f"user/{ALICE}/orders", ALICES) == members
    for group, actor in (
        (f"merchant/{MERCHANT}/orders", ALICES),
        (f"user/{BOB}/orders", ALICES),
        (f"merchant/{MERCHANT}/carts", staff),
        ("merchant//orders", staff),
        ("nonsense", staff),
    ):
        with pytest.raises(NotFound):
            await groups.members(group, actor)


async def test_a_command_to_another_clinics_room_is_in_that_clinics_trail(house: House, port: DeviceCommands) -> None:
    clinic = await Clinic(house).open()
    stranger = Actor(new_id(), ("provider",), (OTHER_CLINIC,))
    for room in (clinic.room, new_id()):
        with pytest.raises(Forbidden):
            await run(port, f"room/{room}", "claim", {}, actor=stranger)
    (event,) = await house.gateway.audit.list(Actor(new_id(), ("admin",), (CLINIC,)), EventFilter(), 10)
    assert (event.actor, event.action, event.object_id, event.outcome, event.device) == (
        *(stranger.subject, "claim", clinic.room),
        *("forbidden", "tablet-1"),
    )
