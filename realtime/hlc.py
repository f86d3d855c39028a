"""Hybrid logical clock stamps: 48-bit milliseconds, 16-bit counter, device; as text they sort like the clock.

Clocks order what people see; they never pick a winner.
"""

_MS_MAX = 2**48 - 1
_COUNTER_MAX = 2**16 - 1


def stamp(ms: int, counter: int = 0, device: str = "") -> str:
    """`"018f2c3a4b5c-0001"` or, with a device, `"018f2c3a4b5c-0001-<device>"`."""
    if not (0 <= ms <= _MS_MAX and 0 <= counter <= _COUNTER_MAX):
        raise ValueError("hlc out of range")
    text = f"{ms:012x}-{counter:04x}"
    return f"{text}-{device}" if device else text
