"""The page of provider sessions says what `actors/session_state.py` and the services say."""

from actors import session_state as limits
from actors.session_state import AUTO_LOGOFF_MS, AWAY_LOGOFF_MS, EndedBy
from domain.times import HOUR_MS, MINUTE_MS
from services.sessions import RECORD_BYTES_MAX
from tests.docs.pages import rows, section

PAGE = "docs/sessions.md"


def test_limits_of_a_session_are_documented() -> None:
    text = section(PAGE, "## Limits")
    for line in (
        f"of all past ones together | {limits.RESULTS_KEPT} |",
        f"results not acknowledged | {limits.UNACKED_MAX:,} |",
        f"a kept result | {limits.RESULT_BYTES_MAX:,} bytes |",
        f"epochs of a device | {limits.EPOCHS_MAX:,} |",
        f"outcomes in one commit | {limits.RECORD_ENTRIES_MAX}, or {RECORD_BYTES_MAX:,} bytes |",
        f"commands in quarantine | {limits.QUARANTINE_ITEMS_MAX}, and {limits.QUARANTINE_BYTES_MAX:,} bytes |",
        f"open documents | {limits.DOCUMENTS_MAX} |",
        f"open offers of a hand-off | {limits.OFFERS_MAX} |",
        f"who took them | {limits.OFFERS_REMEMBERED} |",
        f"organizations of a session | {limits.ORGANIZATIONS_MAX} |",
        f"note, reason | {limits.NOTE_LENGTH_MAX} characters |",
    ):
        assert line in text, line
    assert limits.NOTE_LENGTH_MAX == limits.REASON_LENGTH_MAX


def test_the_ends_of_a_session_are_documented_with_their_times() -> None:
    text = section(PAGE, "## Beginning and end")
    assert set(rows(text)) - {"ended_by"} == {end.value for end in EndedBy}
    assert f"{AUTO_LOGOFF_MS // MINUTE_MS} minutes without" in text
    assert f"when away, {AWAY_LOGOFF_MS // HOUR_MS} hours" in text


def test_what_is_kept_is_said_where_the_queue_is_described() -> None:
    text = section(PAGE, "## The queue")
    assert f"the newest {limits.RESULTS_KEPT}\n" in text
    assert f"after {limits.UNACKED_MAX:,}." in text
    assert f"above {limits.RESULT_BYTES_MAX // 1024} KB" in text
