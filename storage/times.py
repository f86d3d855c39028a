"""Between milliseconds UTC, as everywhere inside, and the `timestamptz` of SQLAlchemy's rows."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    return _EPOCH + ms * _MILLISECOND


def to_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
