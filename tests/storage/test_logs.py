import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from storage.logs import REDACTED, configure_logging, correlation


@pytest.fixture(autouse=True)
def _own_configuration() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _logging() -> io.StringIO:
    stream = io.StringIO()
    configure_logging(service="gateway", level="info", json=True, stream=stream)
    return stream


def test_a_line_is_one_json_object_with_time_level_service_and_fields() -> None:
    stream = _logging()
    structlog.get_logger().info("order_placed", order_id="7", ms=3)
    (line,) = _lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {"event": "order_placed", "level": "info", "service": "gateway", "order_id": "7", "ms": 3}


def test_personal_data_and_secrets_do_not_reach_the_log() -> None:
    stream = _logging()
    structlog.get_logger().info(
        "customer_changed",
        email="a@example.org",
        access_token="t",
        customer={"phone": "1", "id": "7", "cards": [{"card_number": "4111"}]},
        database_url="postgresql://atrium:hunter2@db:5432/atrium",
        header="Bearer abcdefghijklmnop",
        said="sent atr_live_Xq3vYw1X7m0dB5m2u4Zt twice",
        idempotency_key="k",
    )
    text = stream.getvalue()
    assert not [secret for secret in ("example.org", "hunter2", "4111", "abcdefgh", "Xq3vYw1X") if secret in text]
    (line,) = _lines(stream)
    assert line["customer"] == {"phone": REDACTED, "id": "7", "cards": [{"card_number": REDACTED}]}
    assert line["database_url"] == f"postgresql://atrium:{REDACTED}@db:5432/atrium"
    assert line["idempotency_key"] == "k"


def test_a_traceback_has_functions_and_no_values_of_variables() -> None:
    stream = _logging()

    def handle(diagnosis_of_somebody: str) -> None:
        raise RuntimeError(f"{len(diagnosis_of_somebody)} letters")

    try:
        handle("melan" + "choly")
    except RuntimeError:
        structlog.get_logger().exception("handler_failed")
    (line,) = _lines(stream)
    assert "melancholy" not in stream.getvalue()
    assert line["exception"][0]["exc_type"] == "RuntimeError"
    assert line["exception"][0]["frames"][-1]["name"] == "handle"


def test_the_correlation_id_is_on_every_line_of_its_task_and_on_no_other() -> None:
    stream = _logging()
    log = structlog.get_logger()
    with correlation("c-1", order_id="7"):
        log.info("inside")
    log.info("outside")
    inside, outside = _lines(stream)
    assert (inside["correlation"], inside["order_id"]) == ("c-1", "7")
    assert "correlation" not in outside


def test_libraries_log_through_the_same_chain_from_warning_up() -> None:
    stream = _logging()
    logging.getLogger("somewhere").info("chatter")
    logging.getLogger("somewhere").warning("token at %s", "redis://:pw@host/0")
    (line,) = _lines(stream)
    assert (line["event"], line["source"], line["level"]) == ("library_message", "somewhere", "warning")
    assert line["message"] == f"token at redis://:{REDACTED}@host/0"


def test_a_quieter_level_leaves_lines_out() -> None:
    stream = io.StringIO()
    configure_logging(level="error", json=True, stream=stream)
    structlog.get_logger().warning("small")
    structlog.get_logger().error("large")
    assert [line["event"] for line in _lines(stream)] == ["large"]


def test_a_full_file_is_turned_over_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "host.log"
    configure_logging(path, file_bytes_max=500)
    for number in range(6):
        structlog.get_logger().info("row", number=number, padding="x" * 60)
    files = [path.with_name("host.log.1"), path]
    numbers = [json.loads(line)["number"] for file in files for line in file.read_text().splitlines()]
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    configure_logging(tmp_path / "file" / "below" / "host.log")
    structlog.get_logger().info("unheard")
