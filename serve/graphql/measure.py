"""How large a query is, found before anything is executed: from its text, its syntax tree, and the schema."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    IntValueNode,
    Lexer,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    Source,
    TokenKind,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    VariableNode,
    get_named_type,
    parse,
)
from graphql.execution.values import get_variable_values
from graphql.language import Visitor, visit

from serve.graphql.context import Reads
from serve.graphql.errors import QueryRefusedError, refused, too_large
from serve.limits import GatewayLimits

_OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_TEXTS = frozenset({TokenKind.STRING, TokenKind.BLOCK_STRING})
_CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})
_FIELDS = "graphql_fields_max"
_FRAGMENTS = "graphql_fragments_max"
_ALIASES = "graphql_aliases_max"
_DIRECTIVES = "graphql_directives_max"
_META = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef, "__typename": TypeNameMetaFieldDef}
_OF_SCHEMA = "__"
"""Types of these names are the schema's own: their lists are as long as the schema, and are put together in one go."""
_NESTING_PER_FIELD = 2
"""A field within a field opens a brace, and a list or an object may be open in its arguments."""


@dataclass(slots=True)
class Size:
    """Of a selection, once: fields within fields; values and readings, each list with its length."""

    depth: int = 0
    values: int = 0
    reads: int = 0
    introspection: int = 0
    """Depth of questions about the schema."""
    of_schema: int = 0
    """Values of their answers."""

    def beside(self, other: "Size") -> None:
        self.depth = max(self.depth, other.depth)
        self.introspection = max(self.introspection, other.introspection)
        self.values += other.values
        self.reads += other.reads
        self.of_schema += other.of_schema

    def around(self, inner: "Size", times: int) -> None:
        self.depth += inner.depth
        self.introspection = max(self.introspection, inner.introspection)
        self.values += inner.values * times
        self.reads += inner.reads * times
        self.of_schema += inner.of_schema * times


def parsed(query: str, limits: GatewayLimits) -> DocumentNode:
    """The syntax tree. Raises `QueryRefusedError` for bad syntax, and for more than it may have of anything."""
    try:
        _check_text(query, limits)
        document = parse(query)
    except GraphQLSyntaxError as error:
        raise refused([error]) from None
    counter = _Counter()
    visit(document, counter)
    for limit, found in counter.found.items():
        bound = getattr(limits, limit)
        if found > bound:
            raise too_large(limit, bound, found)
    return document


def measured(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, Any],
    limits: GatewayLimits,
) -> Size:
    """How large a valid operation is. Raises `QueryRefusedError`."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    # As they are executed: 100.0 is an Int too. With those that do not fit nothing is executed.
    taken = get_variable_values(schema, operation.variable_definitions or (), variables, max_errors=1)
    assert schema.query_type is not None  # noqa: S101 - there is one
    measure = _Measure(schema, fragments, {} if isinstance(taken, list) else taken.coerced, limits)
    size = measure.selection(operation.selection_set, schema.query_type, 1)
    for limit, found in (
        ("graphql_depth_max", size.depth),
        ("graphql_introspection_depth_max", size.introspection),
        ("graphql_introspection_values_max", size.of_schema),
        ("graphql_values_max", size.values),
        ("graphql_reads_max", size.reads),
    ):
        bound = getattr(limits, limit)
        if found > bound:
            raise too_large(limit, bound, found)
    return size


class _Measure:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: dict[str, FragmentDefinitionNode],
        variables: dict[str, Any],
        limits: GatewayLimits,
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._limits = limits
        self._known: dict[tuple[str, int], Size] = {}
        """Fragments by name and page: one that is used twice is measured once."""

    def selection(self, selections: SelectionSetNode, parent: Any, page: int) -> Size:
        """`page`: how many edges the parent has, if it is a connection."""
        size = Size()
        for each in selections.selections:
            if isinstance(each, FieldNode):
                size.beside(self._field(each, parent, page))
            elif isinstance(each, InlineFragmentNode):
                on = each.type_condition
                size.beside(
                    self.selection(each.selection_set, self._schema.get_type(on.name.value) if on else parent, page)
                )
            elif isinstance(each, FragmentSpreadNode):
                size.beside(self._fragment(each.name.value, page))
        return size

    def _fragment(self, name: str, page: int) -> Size:
        known = self._known.get((name, page))
        if known is None:
            fragment = self._fragments[name]
            kind = self._schema.get_type(fragment.type_condition.name.value)
            known = self._known[name, page] = self.selection(fragment.selection_set, kind, page)
        return known

    def _field(self, node: FieldNode, parent: Any, page: int) -> Size:
        name = node.name.value
        definition = _META.get(name) or parent.fields[name]
        size = Size(depth=1, values=1, reads=int(reads_of(definition) is not None))
        if node.selection_set is None:
            return size
        inner = self.selection(node.selection_set, get_named_type(definition.type), self._page(node, definition))
        if name in _META:
            return Size(values=1, introspection=1 + inner.depth, of_schema=inner.values)
        times = 1
        if name == "edges":
            times = page
        elif parent.name.startswith(_OF_SCHEMA):
            times = _lengths(self._schema).get(name, 1)
        elif _is_list(definition.type):
            times = self._limits.graphql_list_estimate
        size.around(inner, times)
        return size

    def _page(self, node: FieldNode, definition: GraphQLField) -> int:
        """What `first` says: in the query, in a variable, or by default."""
        if "first" not in definition.args:
            return 1
        wanted: Any = definition.args["first"].default_value
        for argument in node.arguments or ():
            if argument.name.value != "first":
                continue
            if isinstance(argument.value, IntValueNode):
                wanted = int(argument.value.value)
            elif isinstance(argument.value, VariableNode):
                wanted = self._variables.get(argument.value.name.value, wanted)
        return max(1, wanted) if isinstance(wanted, int) else 1


@dataclass
class _Counter(Visitor):
    """Counts what is in the text of the query, before anything has looked at it that takes longer with more."""

    found: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((_FIELDS, _FRAGMENTS, _ALIASES, _DIRECTIVES), 0)
    )

    def __post_init__(self) -> None:
        super().__init__()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.found[_FIELDS] += 1
        self.found[_ALIASES] += node.alias is not None

    def enter_fragment_definition(self, *_: Any) -> None:
        self.found[_FRAGMENTS] += 1

    def enter_fragment_spread(self, *_: Any) -> None:
        self.found[_FIELDS] += 1

    def enter_directive(self, *_: Any) -> None:
        self.found[_DIRECTIVES] += 1


def _check_text(query: str, limits: GatewayLimits) -> None:
    """Count words and open brackets as they come: the parser, which goes into each, is not asked before."""
    lexer = Lexer(Source(query))
    tokens = depth = 0
    deepest = _NESTING_PER_FIELD * max(limits.graphql_depth_max, limits.graphql_introspection_depth_max)
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens += 1
        depth += (token.kind in _OPENING) - (token.kind in _CLOSING)
        if token.kind in _TEXTS and "\x00" in (token.value or ""):
            raise QueryRefusedError("Text may not contain the character U+0000.")
        if tokens > limits.graphql_tokens_max:
            raise too_large("graphql_tokens_max", limits.graphql_tokens_max)
        if depth > deepest:
            raise too_large("graphql_depth_max", limits.graphql_depth_max)


@cache
def _lengths(schema: GraphQLSchema) -> dict[str, int]:
    """How long the lists of the schema's own types are, rounded up; those that are not here are short."""
    objects = [kind.fields for kind in schema.type_map.values() if isinstance(kind, GraphQLObjectType)]
    return {"types": len(schema.type_map), "fields": -(-sum(map(len, objects)) // len(objects))}


def _is_list(kind: Any) -> bool:
    while isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    return isinstance(kind, GraphQLList)


def reads_of(definition: GraphQLField) -> Reads | None:
    """How a field asks a use-case; None: it is made of its parent."""
    extensions = getattr(definition.extensions.get("strawberry-definition"), "extensions", ())
    return next((each for each in extensions if isinstance(each, Reads)), None)
