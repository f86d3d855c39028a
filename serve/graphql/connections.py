"""Lists as Relay's connections, with the cursors of REST: pages go forwards only."""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import strawberry

from domain.errors import invalid_field
from serve.graphql.context import Info
from serve.graphql.derive import Shown
from serve.platform.pages import Cursor, cursor_of

FIRST: Final = 20
"""Entries of a list whose field does not say how many."""

T = TypeVar("T")


@strawberry.type(description="Whether the list goes on, and after which cursor. Pages go forwards only.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="An entry of a list, and the cursor after which the list goes on behind it.")
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo


def first_of(info: Info, first: int) -> int:
    """How many entries are wanted. Raises `Invalid`."""
    bound = info.context.runtime.limits.graphql_first_max
    if not 1 <= first <= bound:
        raise invalid_field("first", "out_of_range", f"1 to {bound}.")
    return first


def connection(nodes: Sequence[Shown], cursors: Sequence[Cursor], *, more: bool, end: Cursor | None = None) -> Shown:
    """A page of these nodes; each cursor is where the list goes on behind its node.

    `end`: where it goes on behind all of them, when something was left out after the last.
    """
    edges = [{"node": node, "cursor": cursor_of(place)} for node, place in zip(nodes, cursors, strict=True)]
    info = {
        "has_next_page": more,
        "has_previous_page": False,
        "start_cursor": edges[0]["cursor"] if edges else None,
        "end_cursor": edges[-1]["cursor"] if edges else None,
    }
    if end is not None:
        info["end_cursor"] = cursor_of(end)
    return {"edges": edges, "page_info": info}
