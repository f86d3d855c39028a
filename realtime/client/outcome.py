"""What a command came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

REFUSED = frozenset({"conflict", "rejected"})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command. `status`: applied, duplicate, conflict or rejected.

    `conflict_id` names the record that keeps both values; `by` is who has what was asked for exclusively;
    `quarantined`: people find the command under this id. `original` is the first result, of a `duplicate`.
    """

    seq: int
    status: str
    ent: str
    version: int | None = None
    code: str = ""
    detail: str = ""
    current: Any = None
    reply: dict[str, Any] = field(default_factory=dict)
    errors: tuple[dict[str, str], ...] = ()
    conflict_id: str = ""
    by: str = ""
    quarantined: str = ""
    original: dict[str, Any] | None = None

    @classmethod
    def of(cls, frame: Mapping[str, Any]) -> Self:
        """From a `result` frame."""
        original = frame.get("original")
        told = {**(original or {}), **{name: value for name, value in frame.items() if name != "original"}}
        return cls(
            told["seq"],
            told["status"],
            told["ent"],
            told.get("ver"),
            told.get("code", ""),
            told.get("detail", ""),
            told.get("current"),
            told.get("reply") or {},
            tuple(told.get("errors", ())),
            told.get("conflict_id", ""),
            told.get("by", ""),
            told.get("quarantined", ""),
            original,
        )

    @property
    def final(self) -> str:
        """applied, conflict or rejected: of a `duplicate`, what it came to the first time."""
        return self.status if self.status != "duplicate" else str((self.original or {}).get("status", "applied"))

    @property
    def ok(self) -> bool:
        return self.final == "applied"
