"""GraphQL types made from the structs that services give, and the JSON objects that GraphQL shows of them.

Whatever a field's parent is, it is a plain JSON object with the names of REST: the view of an entity as it is, or what
`shape` makes of a record. What REST leaves out is null.
"""

import enum
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin

import msgspec
import strawberry
from strawberry.types.scalar import ScalarDefinition

from domain import money
from domain.times import SECOND_MS, from_rfc3339, to_rfc3339

Shown = dict[str, Any]
"""A JSON object: the parent of fields."""


def _checked_moment(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a text")
    from_rfc3339(value)
    return value


Moment = NewType("Moment", str)
Long = NewType("Long", int)

SCALARS: Final[dict[object, ScalarDefinition]] = {
    Moment: strawberry.scalar(
        name="DateTime",
        description="An RFC 3339 time. Answers are in UTC, with milliseconds: `2026-03-01T09:30:00.250Z`.",
        serialize=str,
        parse_value=_checked_moment,
    ),
    Long: strawberry.scalar(
        name="Long",
        description="A whole number of at most 53 bits. (GraphQL's own Int has 32.)",
        serialize=int,
    ),
}

_MOMENTS: Final = frozenset({"at", "since", "until", "hold_until", "accept_by"})
_AT_MS: Final = "_at_ms"
_MINOR: Final = "_minor"
_MS: Final = "_ms"

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)


@strawberry.type(description="An amount in minor units: 1250 EUR is 12.50 EUR.")
class Money:
    amount: Long
    currency: str


def shows(
    struct: type[msgspec.Struct], *parts: type, leave_out: tuple[str, ...] = (), whole: bool = False
) -> Callable[[type[T]], type[T]]:
    """Make a class a GraphQL type with the struct's fields beside its own, which go first.

    `parts`: types that were made so of structs within. `whole`: `shape` leaves nothing out. A map has to be one of the
    class's own fields, or left out: GraphQL has none.
    """
    known: dict[Any, Any] = {money.Money: Money, **{getattr(part, _STRUCT): part for part in parts}}

    def make(cls: type[T]) -> type[T]:
        declared = inspect.get_annotations(cls)
        own = {*declared, *vars(cls)}
        found = {}
        for field in msgspec.structs.fields(struct):
            name = _shown_name(field.name)
            if name not in own and field.name not in leave_out:
                wanted = _annotation(field, known)
                found[name] = wanted | None if _is_left_out(field, struct, whole=whole) else wanted
        cls.__annotations__ = {**found, **declared}
        setattr(cls, _STRUCT, struct)
        return described(cls)

    return make


def described(cls: type[T]) -> type[T]:
    """A GraphQL type that is described by its docstring."""
    return strawberry.type(cls, description=inspect.cleandoc(cls.__doc__ or ""))


@cache
def enumerated(kind: type[E]) -> type[E]:
    """The GraphQL enum of `kind`, whose values are named as they are written in JSON."""
    make: Any = enum.StrEnum
    made: type[E] = make(kind.__name__, {each.value: each.value for each in kind})
    return strawberry.enum(made, description=inspect.cleandoc(kind.__doc__ or ""))


def shape(record: msgspec.Struct, *, whole: bool = False, currency: str = "") -> Shown:
    """A record as it is shown: moments in RFC 3339, amounts as money, durations in seconds.

    What is as by default is left out, unless `whole`; a moment of 0 always.
    """
    currency = getattr(record, "currency", currency)
    shown: Shown = {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if field.name.endswith(_AT_MS):
            if not value:
                continue
            value = to_rfc3339(value)
        elif not whole and value == field.default:
            continue
        elif field.name.endswith(_MINOR):
            value = {"amount": value, "currency": currency}
        elif field.name.endswith(_MS):
            value = value // SECOND_MS
        shown[_shown_name(field.name)] = _builtin(value, currency, whole=whole)
    return shown


def keyed(name: str, key: str) -> Callable[[Shown], list[Shown]]:
    """A resolver: the values of the map `name`, each with its key as `key`."""

    def entries(root: Shown) -> list[Shown]:
        return [{key: each, **value} for each, value in root.get(name, {}).items()]

    return entries


def value_of(parent: Any, name: str) -> object:
    """Strawberry's default resolver here."""
    return parent.get(name) if isinstance(parent, dict) else getattr(parent, name, None)


_STRUCT: Final = "__shown_struct__"


def _builtin(value: Any, currency: str, *, whole: bool) -> Any:
    if isinstance(value, msgspec.Struct):
        return shape(value, whole=whole, currency=currency)
    if isinstance(value, tuple | list):
        return [_builtin(each, currency, whole=whole) for each in value]
    return msgspec.to_builtins(value)


def _shown_name(name: str) -> str:
    if name.endswith(_AT_MS):
        return name.removesuffix(_MS)
    if name.endswith(_MINOR):
        return name.removesuffix(_MINOR)
    return f"{name.removesuffix(_MS)}_seconds" if name.endswith(_MS) else name


def _is_left_out(field: msgspec.structs.FieldInfo, struct: type[msgspec.Struct], *, whole: bool) -> bool:
    if field.name.endswith(_AT_MS):
        return not field.required
    if msgspec.UnsetType in get_args(field.type) or NoneType in get_args(field.type):
        return True
    return not (field.required or whole) and struct.__struct_config__.omit_defaults


def _annotation(field: msgspec.structs.FieldInfo, known: Mapping[Any, Any]) -> Any:
    if field.name.endswith(_AT_MS):
        return Moment
    return Money if field.name.endswith(_MINOR) else _shown_type(field.type, field.name, known)


def _shown_type(kind: Any, name: str, known: Mapping[Any, Any]) -> Any:
    if kind in known:
        return known[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        wanted = [each for each in arguments if each not in (NoneType, msgspec.UnsetType)]
        if len(wanted) == 1:
            return _shown_type(wanted[0], name, known)
    if origin in (list, tuple):
        return list[_shown_type(arguments[0], name.removesuffix("s"), known)]  # type: ignore[misc]
    if origin is Literal or kind is str:
        return _text_type(name)
    if kind is int:
        return Long
    if kind in (bool, float):
        return kind
    if inspect.isclass(kind) and issubclass(kind, enum.StrEnum):
        return enumerated(kind)
    raise TypeError(f"{name}: {kind} has to be shown by a field of the class's own")


def _text_type(name: str) -> Any:
    if name == "id" or name.endswith("_id"):
        return strawberry.ID
    return Moment if name in _MOMENTS or name.endswith("_at") else str
