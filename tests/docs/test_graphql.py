"""What the page about GraphQL shows is what is answered, and what it lists is in the schema."""

import json
import re

from graphql import get_named_type

from serve.graphql.connections import FIRST
from serve.graphql.measure import reads_of
from serve.graphql.schema import CORE
from tests.docs.pages import blocks, page, section
from tests.serve.access.world import World
from tests.serve.graphql.asking import post
from tests.serve.house import open_house

PAGE = "docs/graphql.md"


async def test_the_example_is_answered_as_the_page_says() -> None:
    example = section(PAGE, "## An example")
    (query,) = blocks(example, "graphql")
    shown, refused = map(json.loads, blocks(example, "json"))
    async with open_house() as house:
        world = await World(house).make("order")
        variables = {"id": world.ids["order_id"]}
        assert (await post(house, query, None, variables)).json() == shown
        staff = (await post(house, query, house.staff(), variables)).json()
    shown["data"]["order"]["cart"] = None
    assert staff == {**shown, "errors": [refused]}


def test_every_root_field_and_where_it_leads_is_listed() -> None:
    listed: dict[str, set[str]] = {}
    for line in re.findall(r"^\| (`.*) \|$", section(PAGE, "## What there is"), re.MULTILINE):
        roots, _, leads = line.partition(" | ")
        names = set(re.findall(r"`(\w+)`", leads))
        listed |= dict.fromkeys(re.findall(r"`(\w+)`", roots), names)
    assert CORE.query_type is not None
    assert set(listed) == set(CORE.query_type.fields)
    for name in set(listed) - {"tracking"}:
        kind = get_named_type(CORE.query_type.fields[name].type)
        node = get_named_type(kind.fields["edges"].type).fields["node"].type if "edges" in kind.fields else kind
        leads = {each for each, field in get_named_type(node).fields.items() if reads_of(field)}
        whole = {each for each in leads if each in {"cart", "order", "session", "document"}}
        assert leads - whole <= listed[name], name


def test_the_length_of_a_page_is_as_said() -> None:
    assert f"(default {FIRST})" in page(PAGE)
