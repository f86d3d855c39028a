"""The schema, and the execution of a query that has been looked through before."""

from collections.abc import Iterator
from typing import Any, Final

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult

from serve.graphql.context import Context
from serve.graphql.derive import SCALARS, value_of
from serve.graphql.query import Query


class _LookedThrough(SchemaExtension):
    """Takes the document as it was parsed and validated before, instead of doing both again."""

    def on_operation(self) -> Iterator[None]:
        self.execution_context.graphql_document = self.execution_context.context.document
        self.execution_context.pre_execution_errors = []
        yield


class _Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """`serve.graphql.errors` logs what is not expected, and nothing else."""


_SCHEMA: Final = _Schema(
    Query,
    config=StrawberryConfig(default_resolver=value_of, scalar_map=SCALARS),
    extensions=[_LookedThrough],
)

CORE: Final[GraphQLSchema] = _SCHEMA._schema  # noqa: SLF001 - strawberry validates and prints by it, and so do we
SDL: Final = _SCHEMA.as_str()


async def execute(context: Context, variables: dict[str, Any], operation_name: str | None) -> ExecutionResult:
    """The data and the errors of an operation of the context's document, which is valid."""
    return await _SCHEMA.execute(None, variable_values=variables, context_value=context, operation_name=operation_name)
