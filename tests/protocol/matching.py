"""Whether a value fits a pattern. The language is described in README.md."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.protocol.names import Names

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "text": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "map": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
}
_ABSENT: Final = object()


def mismatch(pattern: Any, value: Any, names: Names, at: str = "$") -> str | None:
    """What does not fit and where, or None. What the pattern binds is bound only when the whole fits."""
    found: dict[str, Any] = {}
    wrong = _differs(pattern, value, names, found, at)
    if wrong is None:
        for name, one in found.items():
            names.bind(name, one)
    return wrong


def _differs(pattern: Any, value: Any, names: Names, found: dict[str, Any], at: str) -> str | None:
    if isinstance(pattern, dict):
        if any(key.startswith("$") for key in pattern):
            return _operators(pattern, value, names, found, at)
        return _map(pattern, value, names, found, at)
    if value is _ABSENT:
        return f"{at}: missing"
    if isinstance(pattern, list):
        return _list(pattern, value, names, found, at)
    expected = _filled(pattern, names, found)
    if expected != value or isinstance(expected, bool) is not isinstance(value, bool):
        return f"{at}: {value!r} instead of {expected!r}"
    return None


def _filled(pattern: Any, names: Names, found: dict[str, Any]) -> Any:
    """Names that the same pattern binds count too: `{"id": {"$bind": "x"}, "ref": {"$ref": "x"}}`."""
    if isinstance(pattern, str) and pattern.startswith("${") and pattern[2:-1] in found:
        return found[pattern[2:-1]]
    return names.fill(pattern)


def _map(pattern: dict[str, Any], value: Any, names: Names, found: dict[str, Any], at: str) -> str | None:
    if not isinstance(value, dict):
        return f"{at}: {'missing' if value is _ABSENT else repr(value)} instead of a map"
    for raw, inner in pattern.items():
        key = names.fill(raw)
        wrong = _differs(inner, value.get(key, _ABSENT), names, found, f"{at}.{key}")
        if wrong is not None:
            return wrong
    return None


def _list(pattern: list[Any], value: Any, names: Names, found: dict[str, Any], at: str) -> str | None:
    if not isinstance(value, list):
        return f"{at}: {value!r} instead of a list"
    if len(value) != len(pattern):
        return f"{at}: {len(value)} entries instead of {len(pattern)}: {value!r}"
    for index, (inner, one) in enumerate(zip(pattern, value, strict=True)):
        wrong = _differs(inner, one, names, found, f"{at}[{index}]")
        if wrong is not None:
            return wrong
    return None


def _operators(pattern: dict[str, Any], value: Any, names: Names, found: dict[str, Any], at: str) -> str | None:
    if pattern.get("$absent"):
        return None if value is _ABSENT else f"{at}: {value!r} is there"
    if value is _ABSENT:
        return f"{at}: missing"
    for operator, argument in pattern.items():
        wrong = _operator(operator, argument, value, names, found, at)
        if wrong is not None:
            return wrong
    return None


def _operator(operator: str, argument: Any, value: Any, names: Names, found: dict[str, Any], at: str) -> str | None:
    match operator:
        case "$any":
            return None
        case "$bind":
            found[argument] = value
            return None
        case "$ref":
            expected = found[argument] if argument in found else names[argument]
            return None if expected == value else f"{at}: {value!r} instead of {expected!r}"
        case "$type":
            return None if _TYPES[argument](value) else f"{at}: {value!r} is no {argument}"
        case "$min":
            return None if _TYPES["number"](value) and value >= argument else f"{at}: {value!r} under {argument}"
        case "$max":
            return None if _TYPES["number"](value) and value <= argument else f"{at}: {value!r} over {argument}"
        case "$not":
            return f"{at}: {value!r}" if _differs(argument, value, names, dict(found), at) is None else None
        case "$one_of":
            return _one_of(argument, value, names, found, at)
        case "$exact":
            extra = set(value) - set(argument) if isinstance(value, dict) else set()
            return f"{at}: {sorted(extra)} too much" if extra else _differs(argument, value, names, found, at)
        case "$unordered" | "$some":
            if not isinstance(value, list):
                return f"{at}: {value!r} instead of a list"
            return _unordered(argument, value, names, found, at, all_of_it=operator == "$unordered")
    raise ValueError(f"unknown operator {operator}")


def _one_of(patterns: list[Any], value: Any, names: Names, found: dict[str, Any], at: str) -> str | None:
    for one in patterns:
        attempt = dict(found)
        if _differs(one, value, names, attempt, at) is None:
            found.update(attempt)
            return None
    return f"{at}: {value!r} is none of {patterns!r}"


def _unordered(
    patterns: list[Any], values: list[Any], names: Names, found: dict[str, Any], at: str, *, all_of_it: bool
) -> str | None:
    if all_of_it and len(values) != len(patterns):
        return f"{at}: {len(values)} entries instead of {len(patterns)}: {values!r}"
    attempt = _assign(patterns, values, names, found)
    if attempt is None:
        return f"{at}: {values!r} do not fit {patterns!r} in any order"
    found.update(attempt)
    return None


def _assign(
    patterns: Sequence[Any], values: Sequence[Any], names: Names, found: dict[str, Any]
) -> dict[str, Any] | None:
    """What was bound when each pattern has a value of its own. Tries orders; groups are small."""
    if not patterns:
        return found
    for index, value in enumerate(values):
        attempt = dict(found)
        if _differs(patterns[0], value, names, attempt, "$") is None:
            rest = _assign(patterns[1:], [*values[:index], *values[index + 1 :]], names, attempt)
            if rest is not None:
                return rest
    return None
