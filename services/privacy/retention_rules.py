"""How long each kind of data is kept (rule P2): the defaults, and what an installation has chosen in a TOML file."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from actors.order_status import TERMINAL
from storage.privacy.retention import EntityRule, RowRule

Files = Literal["exports", "mail"]

NEVER: Final = "never"
DAYS_MAX: Final = 36_500


class RetentionError(ValueError):
    """The file says something that is no rule."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`days` after what is said in `what`, it runs out. `of`: rows, live entities, or files of the data folder."""

    name: str
    days: int
    what: str
    of: RowRule | EntityRule | Files


_CLOSED: Final = ", ".join(f"'{status.value}'" for status in sorted(TERMINAL))

RULES: Final = (
    Rule(
        name="login_attempts",
        days=30,
        what="attempts to log in, after the last one",
        of=RowRule(
            table="login_failures",
            key=("email_hash",),
            condition="last_at < :before",
            person="(SELECT users.id FROM users WHERE users.email_hash = login_failures.email_hash)",
        ),
    ),
    Rule(
        name="mailed_tokens",
        days=7,
        what="mailed tokens, after they held",
        of=RowRule(table="one_time_tokens", key=("hash",), condition="expires_at < :before", person="user_id"),
    ),
    Rule(
        name="factor_challenges",
        days=1,
        what="questions to second factors, after they held",
        of=RowRule(table="factor_challenges", key=("hash",), condition="expires_at < :before", person="user_id"),
    ),
    Rule(
        name="refresh_tokens",
        days=30,
        what="refresh tokens, after they held",
        of=RowRule(
            table="refresh_tokens",
            key=("hash",),
            condition="expires_at < :before",
            person="(SELECT logins.user_id FROM logins WHERE logins.id = refresh_tokens.login_id)",
        ),
    ),
    Rule(
        name="logins",
        days=180,
        what="login sessions, after their end",
        of=RowRule(
            table="logins",
            key=("id",),
            condition="revoked_at < :before OR expires_at < :before",
            person="user_id",
        ),
    ),
    Rule(
        name="api_keys",
        days=365,
        what="API keys, after they held",
        of=RowRule(
            table="api_keys",
            key=("id",),
            condition="revoked_at < :before OR expires_at < :before",
            person="owner_id",
        ),
    ),
    Rule(
        name="invitations",
        days=30,
        what="invitations to organizations, after they held",
        of=RowRule(
            table="invitations",
            key=("id",),
            condition="expires_at < :before OR accepted_at < :before OR revoked_at < :before",
            person="(SELECT users.id FROM users WHERE users.email_hash = invitations.email_hash)",
        ),
    ),
    Rule(
        name="positions_said",
        days=0,
        what="where people said they are, after it ran out",
        of=RowRule(table="user_positions", key=("user_id",), condition="expires_at < :before", person="user_id"),
    ),
    Rule(
        name="courier_positions",
        days=30,
        what="where couriers were, after the order was closed",
        of=EntityRule(
            table="orders", condition=f"status IN ({_CLOSED}) AND courier_id IS NOT NULL", person="courier_id"
        ),
    ),
    Rule(
        name="carts",
        days=90,
        what="what was in carts, after they were closed or abandoned",
        of=EntityRule(
            table="carts", condition="status IN ('abandoned', 'converted', 'merged', 'deleted')", person="owner"
        ),
    ),
    Rule(
        name="order_addresses",
        days=1_095,
        what="addresses and instructions of orders, after they were closed; lines and money stay",
        of=EntityRule(table="orders", condition=f"status IN ({_CLOSED})", person="user_id"),
    ),
    Rule(name="exports", days=0, what="exports of people's data, after they could be downloaded", of="exports"),
    Rule(name="mail_files", days=30, what="mail in the data folder", of="mail"),
    Rule(
        name="dead_letters",
        days=180,
        what="what reactions gave up on",
        of=RowRule(table="dead_letters", key=("id",), condition="failed_at < :before"),
    ),
    Rule(
        name="jobs",
        days=90,
        what="jobs, after their end",
        of=RowRule(
            table="jobs",
            key=("id",),
            condition="finished_at < :before AND status NOT IN ('queued', 'running')",
            person="person",
        ),
    ),
)

KEPT: Final = {
    "audit_events": "never: the trail is chained, and a row that was taken out would show",
    "erasures": "never: evidence, also to erase again what a restored backup brings back",
    "legal_holds": "never: evidence",
    "journal": "never: what it says of people is taken out by the rules of carts and orders, and by erasures",
    "snapshots": "one an entity, replaced by the next",
}
"""What no rule lets run out, and why."""

BY_NAME: Final = {rule.name: rule for rule in RULES}


def chosen_days(path: Path | None) -> dict[str, int | None]:
    """Days by rule, None for never. Raises `RetentionError` for a file that cannot be read or says nonsense."""
    days: dict[str, int | None] = {rule.name: rule.days for rule in RULES}
    if path is None:
        return days
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RetentionError(f"{path.name} cannot be read: {type(error).__name__}") from error
    unknown = given.keys() - {"days"}
    if unknown or not isinstance(given.get("days", {}), dict):
        raise RetentionError(f"{path.name} has one table, [days]")
    return days | _checked(given.get("days", {}), path.name)


def _checked(given: Mapping[str, Any], name: str) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for rule, value in given.items():
        if rule not in BY_NAME:
            raise RetentionError(f"{name}: there is no rule {rule}; there are {', '.join(BY_NAME)}")
        if value == NEVER:
            found[rule] = None
        elif type(value) is int and 0 <= value <= DAYS_MAX:
            found[rule] = value
        else:
            raise RetentionError(f'{name}: {rule} must be 0 to {DAYS_MAX} days or "{NEVER}"')
    return found
