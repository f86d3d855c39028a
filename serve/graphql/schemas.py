"""What is documented of GraphQL's requests and answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

_QUERY = """\
query Screen($id: ID!) {
  order(id: $id) {
    status
    total { amount currency }
    merchant { name }
    lines { quantity product { name } }
  }
}"""
_EXAMPLE: dict[str, JsonValue] = {
    "query": _QUERY,
    "variables": {"id": "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"},
    "operationName": "Screen",
}


class GraphqlRequest(BaseModel):
    """`operationName` says which, when the query has several. `extensions` are for others' servers: none are known."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the specification's name
    extensions: dict[str, Any] | None = None


class GraphqlPlace(BaseModel):
    line: int
    column: int


class GraphqlError(BaseModel):
    """`extensions` has REST's `code` and `status`, and `errors` for arguments that are not valid."""

    message: str
    extensions: dict[str, Any]
    path: list[str | int] | None = None
    locations: list[GraphqlPlace] | None = None


class GraphqlAnswer(BaseModel):
    """`data` has null where there is an error. Without `data`, nothing was executed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": {"order": None},
                    "errors": [
                        {
                            "message": "There is no such order.",
                            "locations": [{"line": 2, "column": 3}],
                            "path": ["order"],
                            "extensions": {"code": "not_found", "status": 404},
                        }
                    ],
                }
            ]
        }
    )

    data: dict[str, Any] | None = None
    errors: list[GraphqlError] | None = None
