"""Money as integer minor units and an ISO 4217 currency (M1, M2). Never a float.

Exponents say how many digits the minor unit has: 1250 EUR is 12.50, 1250 JPY is 1,250. Payment providers
differ from ISO for a few currencies, so amounts cross to a provider only through `to_provider`.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

import msgspec

from domain.errors import invalid_field

AMOUNT_MINOR_MAX: Final = 10**15
"""The largest amount accepted from outside: sums of many stay far inside 64 bits."""

_TWO_DIGITS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR
IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN
NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"

EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
}
"""ISO 4217: digits of the minor unit, by currency."""

PROVIDER_EXPONENTS: Final[dict[str, dict[str, int]]] = {
    # Stripe keeps two digits for ISK and UGX for old integrations, and takes MGA without any.
    "stripe": {"ISK": 2, "UGX": 2, "MGA": 0},
}
"""Where a provider differs from ISO."""


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount in minor units of `currency`; on the wire `{"amount": 1250, "currency": "EUR"}`."""

    amount: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other).amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other).amount, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def times(self, factor: int | Fraction | Decimal) -> "Money":
        """This amount times an exact factor, rounded half up to the minor unit (M2)."""
        return Money(scale(self.amount, factor), self.currency)

    def split(self, weights: Sequence[int]) -> list["Money"]:
        """Parts in proportion to `weights` that sum to exactly this amount (M2)."""
        return [Money(part, self.currency) for part in allocate(self.amount, weights)]

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
        return other


def exponent(currency: str, provider: str = "") -> int:
    """Digits of the minor unit, by ISO or as `provider` counts them. `KeyError`: no such currency."""
    own = PROVIDER_EXPONENTS.get(provider, {}).get(currency)
    return EXPONENTS[currency] if own is None else own


def to_provider(money: Money, provider: str) -> int:
    """The integer that `provider` expects. `ValueError` where it cannot express the amount exactly."""
    shift = exponent(money.currency, provider) - exponent(money.currency)
    if shift >= 0:
        return int(money.amount * 10**shift)
    amount, rest = divmod(money.amount, 10**-shift)
    if rest:
        raise ValueError(f"{provider} has no such small part of {money.currency}")
    return int(amount)


def from_provider(amount: int, currency: str, provider: str) -> Money:
    """What `provider` says, in ISO minor units. `ValueError` where that would lose something."""
    shift = exponent(currency) - exponent(currency, provider)
    if shift >= 0:
        return Money(int(amount * 10**shift), currency)
    whole, rest = divmod(amount, 10**-shift)
    if rest:
        raise ValueError(f"{currency} has no such small part")
    return Money(int(whole), currency)


def check_currency(currency: str, path: str = "currency") -> str:
    """The currency itself; `Invalid` (`unknown_currency`) unless it is an upper-case ISO 4217 code."""
    if currency not in EXPONENTS:
        raise invalid_field(path, "unknown_currency", "Not an ISO 4217 currency code.")
    return currency


def check_price(amount_minor: int, path: str) -> int:
    """The amount itself; `Invalid` unless 0 ≤ amount ≤ `AMOUNT_MINOR_MAX`."""
    if not 0 <= amount_minor <= AMOUNT_MINOR_MAX:
        raise invalid_field(path, "out_of_range", f"Must be from 0 to {AMOUNT_MINOR_MAX} minor units.")
    return amount_minor


def round_half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded to the nearest integer, halves away from zero.

    Away from zero also below it, so that a refund mirrors its charge to the cent.
    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    whole = (2 * abs(numerator) + denominator) // (2 * denominator)
    return whole if numerator >= 0 else -whole


def scale(amount_minor: int, factor: int | Fraction | Decimal) -> int:
    """An amount times an exact factor (a quantity, a tax rate), rounded half up: once per line (M2)."""
    exact = Fraction(factor)
    return round_half_up(amount_minor * exact.numerator, exact.denominator)


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Integers in proportion to `weights` that sum to exactly `total`, by largest remainder (M2).

    Each part is within one unit of its exact share; ties go to the earlier part, so the result is the
    same everywhere. Weights that are all zero share evenly. `ValueError`: no weights, or a negative one.
    """
    if not weights or min(weights) < 0:
        raise ValueError("weights must be given and not negative")
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    sign = -1 if total < 0 else 1
    shares = [divmod(abs(total) * weight, whole) for weight in weights]
    parts = [share for share, _ in shares]
    left = abs(total) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda i: (-shares[i][1], i))
    for i in by_remainder[:left]:
        parts[i] += 1
    return [sign * part for part in parts]
