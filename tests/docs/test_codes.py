"""Error codes: what is documented is in the code, and what is in the code is documented."""

from realtime import codes
from serve.platform.routing import _CODES as SCHEMA_CODES
from tests.docs.codes import codes_in, field_codes_in, frame_codes_in
from tests.docs.pages import prose, rows, section

ROOMS = ("domain", "storage", "actors", "services", "serve")
ERRORS = section("docs/api.md", "## Errors")
API, _, FIELDS = ERRORS.partition("| field code | when |")


def test_every_error_code_is_documented_and_every_documented_one_exists() -> None:
    assert set(rows(API)) == codes_in(*ROOMS)


def test_every_field_code_is_documented_and_every_documented_one_exists() -> None:
    assert set(rows(FIELDS)) == field_codes_in(*ROOMS) | set(SCHEMA_CODES.values())


def test_every_code_of_an_error_frame_is_documented_and_every_documented_one_exists() -> None:
    assert set(rows(section("docs/protocol.md", "## Error codes"))) == frame_codes_in("realtime")


def test_every_close_code_is_documented_and_every_documented_one_exists() -> None:
    text = prose(section("docs/protocol.md", "## Closing"))
    documented = {int(line.split("|")[1]) for line in text.splitlines() if line.startswith("| 4")}
    ranges = {"STOP_FROM", "STOP_TO"}
    # 4500 is both the first that stops a client and a code of its own.
    assert documented == {
        value for name, value in vars(codes).items() if name.isupper() and name not in ranges and isinstance(value, int)
    }
