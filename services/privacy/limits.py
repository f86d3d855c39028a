"""Every bound and time of privacy's work: a name, a unit, a default."""

import msgspec


class PrivacyLimits(msgspec.Struct, frozen=True, kw_only=True):
    export_ttl_seconds: int = 7 * 24 * 3_600
    """A finished export can be downloaded for so long."""
    statement_seconds: float = 300.0
    """A statement of a job longer than this fails."""
    housekeeping_seconds: int = 3_600
    """How often the reactor looks for accounts to be erased and whether today's retention has run."""
    erasures_per_look_max: int = 100
    """Erasures that are started at a time."""
    retention_batch_rows: int = 1_000
    """Rows that run out in one transaction."""
    hold_reason_characters_max: int = 500


DEFAULTS = PrivacyLimits()
