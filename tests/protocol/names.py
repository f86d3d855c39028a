"""The names of one run of a vector: texts may hold `${name}`, patterns bind and refer to values."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

_NAME: Final = re.compile(r"\$\{([^${}]+)\}")


class UnknownNameError(LookupError):
    """A vector uses a name that nobody gave."""


class Names:
    """`given` are the world's names. `id:x` is a UUID of this run; `makers` make others by their prefix, once."""

    def __init__(self, given: Mapping[str, Any], makers: Mapping[str, Callable[[str], str]] | None = None) -> None:
        self._values: dict[str, Any] = dict(given)
        self._makers: dict[str, Callable[[str], str]] = {"id": lambda _: str(uuid.uuid4()), **(makers or {})}

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            prefix, _, rest = name.partition(":")
            if prefix not in self._makers or not rest:
                raise UnknownNameError(name)
            self._values[name] = self._makers[prefix](rest)
        return self._values[name]

    def _text(self, text: str) -> Any:
        """Inner names first: `${id:c${n}}`."""
        while _NAME.search(text):
            whole = _NAME.fullmatch(text)
            if whole:
                return self[whole[1]]
            text = _NAME.sub(lambda found: str(self[found[1]]), text)
        return text

    def bind(self, name: str, value: Any) -> None:
        self._values[name] = value

    def fill(self, value: Any) -> Any:
        """`value` with its names filled in. A text that is one name and nothing else becomes the value itself."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, dict):
            if set(value) == {"$ref"}:
                return self[value["$ref"]]
            if set(value) == {"$repeat"}:
                text, times = value["$repeat"]
                return self.fill(text) * times
            return {self.fill(key): self.fill(one) for key, one in value.items()}
        return value


def used(value: Any) -> set[str]:
    """The names that a value uses."""
    if isinstance(value, str):
        return set(_NAME.findall(value))
    if isinstance(value, list):
        return {name for one in value for name in used(one)}
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own | {name for pair in value.items() for one in pair for name in used(one)}
    return set()


def bound(value: Any) -> set[str]:
    """The names that a pattern binds."""
    if isinstance(value, list):
        return {name for one in value for name in bound(one)}
    if isinstance(value, dict):
        own = {value["$bind"]} if "$bind" in value else set()
        return own | {name for one in value.values() for name in bound(one)}
    return set()
