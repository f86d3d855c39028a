"""What an API key may be used for: nouns of the API, each for reading or for changing.

A scope never gives what its owner has no right to: entities and services decide by the owner's roles as ever, after
this. What is in no scope (logins, passwords, keys, members, whatever the platform's admin changes) no key can do.
"""

from collections.abc import Callable, Iterable
from typing import Final

from domain.errors import Forbidden, invalid_field

READ: Final = "read"
WRITE: Final = "write"

_BOTH: Final = ("carts", "orders", "merchants", "products", "locations", "rooms", "sessions", "documentation")
_READ_ONLY: Final = ("organizations", "users", "admin")
SCOPES: Final = frozenset(
    {f"{noun}:{action}" for noun in _BOTH for action in (READ, WRITE)} | {f"{noun}:{READ}" for noun in _READ_ONLY}
)

_PREFIX: Final = "/api/v1/"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = "auth/session"
"""Whose key it is, and for what, every key may ask."""
_BY_FIELD: Final = "graphql"
"""Any key may ask; each field asks `check_noun` for itself."""
_NEVER: Final = frozenset({"members", "invitations", "service-accounts", "export", "emergency-access"})
_PATHS: Final = {"treatments": "documentation"}
_KINDS: Final = {
    "cart": "carts",
    "order": "orders",
    "room": "rooms",
    "session": "sessions",
    "document": "documentation",
    "documents": "documentation",
    "cosign": "documentation",
}

May = Callable[[str, str], bool]
"""Whether a socket may do this (`read`, `write`) to that (`kind/id`, or a group's channel)."""


def check_scopes(scopes: Iterable[str], path: str) -> tuple[str, ...]:
    """Sorted, each once. Raises `Invalid` for none, and for one that there is not."""
    found = tuple(sorted(set(scopes)))
    if not found or not SCOPES.issuperset(found):
        raise invalid_field(path, "unknown_scope", f"One or more of {', '.join(sorted(SCOPES))}.")
    return found


def check_request(scopes: frozenset[str], method: str, path: str) -> None:
    """Whether a key with these scopes may make this request. Raises `Forbidden` (`scope_missing`)."""
    parts = path.removeprefix(_PREFIX).split("/")
    if parts[0] == _BY_FIELD or (method in _READING and "/".join(parts) == _OPEN):
        return
    noun = _PATHS.get(parts[0], parts[0])
    wanted = f"{noun}:{READ if method in _READING else WRITE}"
    if wanted not in scopes or not _NEVER.isdisjoint(parts[1:]):
        raise _missing(wanted)


def check_noun(scopes: frozenset[str], noun: str) -> None:
    """Whether a key with these scopes may read this noun. Raises `Forbidden` (`scope_missing`)."""
    wanted = f"{noun}:{READ}"
    if wanted not in scopes:
        raise _missing(wanted)


def may_on_socket(scopes: frozenset[str]) -> May:
    def may(channel: str, action: str) -> bool:
        kind, _, rest = channel.partition("/")
        last = rest.rpartition("/")[2] if "/" in rest else kind
        return f"{_KINDS.get(last, last)}:{action}" in scopes

    return may


def _missing(wanted: str) -> Forbidden:
    return Forbidden(
        f"This key was not made for that: it would need {wanted}."
        if wanted in SCOPES
        else "No API key can do this: log in.",
        code="scope_missing",
    )
