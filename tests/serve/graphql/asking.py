"""Asking GraphQL in tests."""

from typing import Any

import httpx

from tests.serve.house import House

PATH = "/api/v1/graphql"


async def post(
    house: House, query: str, headers: dict[str, str] | None = None, variables: Any = None, **more: Any
) -> httpx.Response:
    body = {"query": query, **({} if variables is None else {"variables": variables}), **more}
    return await house.http.post(PATH, json=body, headers=house.bearer() if headers is None else headers)


async def data_of(house: House, query: str, headers: dict[str, str] | None = None, variables: Any = None) -> Any:
    """What was answered without any error."""
    answer = await post(house, query, headers, variables)
    document = answer.json()
    assert "errors" not in document, document
    return document["data"]


async def refusals(
    house: House, query: str, headers: dict[str, str] | None = None, variables: Any = None
) -> dict[tuple[str | int, ...], str]:
    """The codes of the errors, by path."""
    document = (await post(house, query, headers, variables)).json()
    return {tuple(each.get("path", ())): each["extensions"]["code"] for each in document.get("errors", ())}
