"""Exact doses and amounts: decimal text with at most three decimals outside, integer thousandths inside. Never a float.

A unit of a toxin (`U`) is a unit of its own brand: nothing here converts a brand's units into another's, nor units
into millilitres (C5).
"""

import re
from typing import Final

from domain.errors import invalid_field

UNITS: Final = ("U", "mL")
"""International units of a product's own assay, and millilitres."""
DOSE_THOUSANDTHS_MAX: Final = 10_000_000
"""The largest dose or amount, in thousandths: 10,000 U or mL."""

_THOUSAND: Final = 1_000
_DECIMAL: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,3}))?", re.ASCII)
_WITH_UNIT: Final = re.compile(r"(\S+) (\S+)")


def check_dose(text: str, path: str) -> int:
    """Thousandths of a dose or amount above zero; `Invalid` with `path` for anything else."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        code = "required" if not text else "malformed"
        raise invalid_field(path, code, "Must be a decimal number above zero with at most three decimals, as text.")
    thousandths = int(match[1]) * _THOUSAND + int((match[2] or "").ljust(3, "0"))
    if not 0 < thousandths <= DOSE_THOUSANDTHS_MAX:
        raise invalid_field(path, "out_of_range", f"Must be above 0 and at most {DOSE_THOUSANDTHS_MAX // _THOUSAND}.")
    return thousandths


def check_unit(text: str, path: str) -> str:
    if text not in UNITS:
        raise invalid_field(path, "unknown_unit" if text else "required", "Must be U or mL.")
    return text


def check_dose_and_unit(text: str, path: str) -> str:
    """`"2.50 U"` in its one form, `"2.5 U"`."""
    match = _WITH_UNIT.fullmatch(text)
    if match is None:
        raise invalid_field(path, "malformed", "Must be a dose and its unit, as 2.5 U.")
    return f"{dose_text(check_dose(match[1], path))} {check_unit(match[2], path)}"


def dose_text(thousandths: int) -> str:
    """The one decimal text of an amount: `"2.5"`, `"10"`, `"0.025"`."""
    whole, rest = divmod(thousandths, _THOUSAND)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


def thousandths_of(text: str) -> int:
    """Of a text that `dose_text` made."""
    whole, _, rest = text.partition(".")
    return int(whole) * _THOUSAND + int(rest.ljust(3, "0"))
