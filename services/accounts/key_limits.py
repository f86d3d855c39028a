"""Every bound and lifetime of API keys and service accounts: a name, a unit, a default."""

import msgspec


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    keys_per_owner_max: int = 25
    """Keys of one person or service account that hold."""
    key_days_default: int = 90
    key_days_max: int = 366
    key_overlap_seconds: int = 86_400
    """After a rotation the old key goes on for so long, unless another time is asked for."""
    key_overlap_seconds_max: int = 604_800
    key_known_seconds: int = 30
    """For so long a gateway believes what it looked up of a key and its owner, unless it hears otherwise."""
    keys_known_max: int = 10_000
    """Keys that one gateway remembers, unknown ones included."""
    services_per_organization_max: int = 100
    key_name_characters_max: int = 80


DEFAULTS = KeyLimits()

assert DEFAULTS.key_days_default <= DEFAULTS.key_days_max  # noqa: S101 - the default is a legal time
assert DEFAULTS.key_overlap_seconds <= DEFAULTS.key_overlap_seconds_max  # noqa: S101 - so is this
