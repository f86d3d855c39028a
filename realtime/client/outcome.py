"""What a command came to."""

from dataclasses import dataclass, field
from typing import Any, Self

from realtime.client.encoding import Message


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command. `status`: applied, duplicate, conflict or rejected."""

    seq: int
    status: str
    ent: str
    version: int | None = None
    code: str = ""
    detail: str = ""
    current: Any = None
    reply: dict[str, Any] = field(default_factory=dict)
    errors: tuple[dict[str, str], ...] = ()

    @classmethod
    def of(cls, frame: Message) -> Self:
        """From a `result` frame."""
        return cls(
            frame["seq"],
            frame["status"],
            frame["ent"],
            frame.get("ver"),
            frame.get("code", ""),
            frame.get("detail", ""),
            frame.get("current"),
            frame.get("reply") or {},
            tuple(frame.get("errors", ())),
        )

    @property
    def ok(self) -> bool:
        return self.status in {"applied", "duplicate"}
