"""Structured logs: one JSON object a line (or lines for people), without personal data and without local variables.

Every process calls `configure_logging` once, before it logs. Events have static names; values go into fields.
"""

import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

from storage.settings import Settings
from storage.tracing.context import current_span

REDACTED: Final = "[redacted]"
VALUE_CHARACTERS_MAX: Final = 2_000
"""A longer text is cut: a log line is no place for a document."""
FILE_BYTES_MAX: Final = 50 * 1024 * 1024
"""A log file past this is moved to `<name>.1`, of which one is kept."""

_PERSONAL: Final = frozenset(
    {
        *("name", "first_name", "last_name", "full_name", "display_name", "email", "phone", "mobile", "fax"),
        *("address", "line1", "line2", "street", "postal_code", "zip", "lat", "lon", "latitude", "longitude"),
        *("birth_date", "date_of_birth", "dob", "ssn", "passport", "iban", "pan", "card", "card_number", "cvv", "cvc"),
        *("ip", "client_ip", "user_agent", "instructions", "note", "notes", "diagnosis", "allergies"),
    }
)
_SECRET: Final = re.compile(
    r"(^|_)(password|passwd|secret|token|authorization|cookie|api_?key|private_key|credential)s?($|_)"
)
_PLAIN_FIELDS: Final = frozenset({"event", "level", "time", "logger", "correlation", "trace_id", "span_id"})
_URL_PASSWORD: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@")
_BEARER: Final = re.compile(r"(?i)\bbearer\s+[a-z0-9._~+/=-]{8,}")
_API_KEY: Final = re.compile(r"\batr_[a-z]+_[0-9A-Za-z]{16,}")
_JWT: Final = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace personal data and secrets by `[redacted]`, by the name of their field and by their look."""
    for key, value in event.items():
        if key == "exception":
            event[key] = _clean_trace(value)
        elif key not in _PLAIN_FIELDS:
            event[key] = _clean(key, value)
    return event


def _clean_trace(value: Any) -> Any:
    """A traceback has function names under `name`, and no values of variables: only its texts are looked at."""
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {key: _clean_trace(inner) for key, inner in value.items()}
    return [_clean_trace(inner) for inner in value] if isinstance(value, list) else value


def _clean(key: str, value: Any) -> Any:
    if key.lower() in _PERSONAL or _SECRET.search(key.lower()):
        return REDACTED if value not in (None, "", False) else value
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {each: _clean(str(each), inner) for each, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", inner) for inner in value]
    return value


def _clean_text(text: str) -> str:
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<scheme>:{REDACTED}@", text)
    if len(text) >= 16:
        text = _API_KEY.sub(REDACTED, text)
        text = _JWT.sub(REDACTED, _BEARER.sub(f"Bearer {REDACTED}", text))
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}… ({len(text)} characters)"


class _Output:
    """A line to a text stream or to a file that is turned over when it is full. Never raises."""

    def __init__(self, file: Path | None, stream: TextIO | None, bytes_max: int) -> None:
        self._file = file
        self._bytes_max = bytes_max
        self._stream = stream
        self._lock = threading.Lock()
        self._out: TextIO | None = None
        self._written = 0

    def __call__(self, *_: Any) -> "_Output":
        return self

    def __del__(self) -> None:
        if self._out is not None:
            self._out.close()

    def msg(self, message: str) -> None:
        with self._lock:
            try:
                out = self._open() if self._file is not None else self._stream or sys.stderr
                out.write(message + "\n")
                out.flush()
                self._written += len(message) + 1
            except (OSError, ValueError):
                self._out = None

    debug = info = warning = error = critical = exception = log = fatal = msg

    def _open(self) -> TextIO:
        assert self._file is not None  # noqa: S101 - asked by `msg`
        if self._out is not None and self._written > self._bytes_max:
            self._out.close()
            self._file.replace(self._file.with_name(f"{self._file.name}.1"))
            self._out = None
        if self._out is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._out = self._file.open("a", encoding="utf-8")
            self._written = self._file.stat().st_size
        return self._out


class _Forward(logging.Handler):
    """Hands the standard library's records (libraries, uvicorn) to structlog, so that they are redacted alike."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:
            message = str(record.msg)
        exc = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        logger = structlog.get_logger(record.name)
        fields: dict[str, Any] = {"message": message, "source": record.name}
        if exc is not None:
            fields["exc_info"] = exc
        logger.log(max(record.levelno, logging.DEBUG), "library_message", **fields)


def trace_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Where in which trace a line was written, if it was in one."""
    span = current_span()
    if span is not None:
        event["trace_id"], event["span_id"] = span.trace_id, span.span_id
    return event


def processors(*, json: bool, service: str) -> list[Processor]:
    """What a log event passes through, in order."""

    def place(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        place,
        trace_ids,
    ]
    if json:
        trace = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=30)
        chain += [structlog.processors.ExceptionRenderer(trace), redact, structlog.processors.JSONRenderer(default=str)]
    else:
        chain += [
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(colors=False, timestamp_key="time"),
        ]
    return chain


def configure_logging(
    file: str | Path | None = None,
    *,
    service: str = "atrium",
    level: str | None = None,
    json: bool | None = None,
    stream: TextIO | None = None,
    file_bytes_max: int = FILE_BYTES_MAX,
) -> None:
    """Set up structlog and the standard library's logging of this process.

    `service` names the process in every line (`gateway`, `host-1`). Lines go to `file`, else to `stream`, else to
    standard error. Level and form are the settings' unless given: with both, wrong settings are no matter here.
    A file is always JSON. Libraries log from `warning` up, at any `level`.
    """
    number = logging.getLevelNamesMapping()[(level or Settings().log_level).upper()]
    as_json = bool(file) or Settings().log_json if json is None else json
    structlog.configure(
        processors=processors(json=as_json, service=service),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Output(Path(file) if file else None, stream, file_bytes_max),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=max(number, logging.WARNING), force=True)
    logging.captureWarnings(True)


@contextmanager
def correlation(value: str, **fields: Any) -> Iterator[None]:
    """Within the block every log line of this task carries `correlation` (and `fields`)."""
    with structlog.contextvars.bound_contextvars(correlation=value, **fields):
        yield
