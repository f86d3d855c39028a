"""The `atrium` command against the running installation."""

import json

from domain.ids import new_id
from tests.integration.town import ON_THE_STACK, Town, atrium

pytestmark = ON_THE_STACK


async def test_status_tells_of_every_host(town: Town):
    code, out = await atrium(town.stack, "status", "--json")
    document = json.loads(out)
    assert (code, document["base_url"]) == (0, town.stack.base_url)
    assert sum(host["status"]["shards"] for host in document["hosts"]) == 256
    assert all(host["pid"] for host in document["hosts"])


async def test_the_journal_of_an_order_is_shown(town: Town):
    order = await town.order(town.bearer(new_id()), "accepted")
    code, out = await atrium(town.stack, "journal", "show", f"order/{order['id']}", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["version"] for row in rows] == [1, 2]
    assert [event["type"] for row in rows for event in row["events"]] == ["placed", "status_changed"]
    unknown, _ = await atrium(town.stack, "journal", "show", f"order/{new_id()}")
    assert unknown != 0


async def test_no_reaction_has_given_up(town: Town):
    assert await atrium(town.stack, "dead-letters", "list", "--json") == (0, "[]\n")
    code, _ = await atrium(town.stack, "dead-letters", "show", new_id())
    assert code != 0


async def test_a_second_start_on_the_same_folder_is_refused(town: Town):
    code, out = await atrium(town.stack, "up", "--json", "--port", "0")
    assert code != 0
    assert "ready" not in out
