"""The end of an installation, and its next beginning on the same folder."""

import signal

from cluster.datadir import processes_of
from domain.ids import new_id
from loadtests.stack import Stack
from tests.integration.town import ON_THE_STACK, Town

pytestmark = ON_THE_STACK


async def test_sigterm_leaves_no_process_and_the_next_start_goes_on_with_the_data(stack: Stack, town: Town):
    subject = new_id()
    user = town.bearer(subject)
    cart, order = await town.cart(user, 3), await town.order(user, "accepted")
    before = stack.run.stack
    assert await stack.stop() in {0, 128 + signal.SIGTERM}
    assert processes_of(before, stores=True) == []
    await stack.start()
    assert stack.run.stack != before
    assert (await town.http.get(f"/carts/{cart['id']}", headers=user)).json() == cart
    assert (await town.http.get(f"/orders/{order['id']}", headers=user)).json() == order
    assert (await town.add(cart["id"], user))["version"] == cart["version"] + 1
    assert (await town.move(order["id"], town.staff(), "preparing"))["version"] == order["version"] + 1
