"""Times: integer milliseconds since the Unix epoch, UTC, inside; RFC 3339 with `Z` outside."""

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
MOMENT_MS_MAX: Final = 253_402_300_799_999
"""The end of the year 9999: later, there is no RFC 3339 text."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def to_datetime(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def from_datetime(moment: datetime) -> int:
    """Whole milliseconds, rounded down. `ValueError` for a naive datetime: it names no moment."""
    if moment.tzinfo is None:
        raise ValueError("a time without its offset names no moment")
    return (moment - _EPOCH) // _MILLISECOND


def to_rfc3339(ms: int) -> str:
    """`2026-03-01T09:30:00.250Z`; always milliseconds, so that texts sort like times."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")[:-6] + "Z"


def from_rfc3339(text: str) -> int:
    """`ValueError` unless `text` is a date-time with `Z` or a numeric offset."""
    if len(text) < 20 or text[10] not in "Tt ":
        raise ValueError("not an RFC 3339 date-time")
    return from_datetime(datetime.fromisoformat(text))
