"""Positions on the Earth: WGS 84 degrees, distances in metres."""

import math
from typing import Final

from domain.errors import invalid_field

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius (IUGG); a sphere is within 0.6 % of the ellipsoid."""


def check_position(lat: float, lon: float, path: str = "") -> None:
    """`Invalid` unless -90 ≤ lat ≤ 90 and -180 ≤ lon ≤ 180; NaN and infinities are refused too."""
    if not -90.0 <= lat <= 90.0:
        raise invalid_field(f"{path}lat", "out_of_range", "Latitude must be from -90 to 90 degrees.")
    if not -180.0 <= lon <= 180.0:
        raise invalid_field(f"{path}lon", "out_of_range", "Longitude must be from -180 to 180 degrees.")


def distance_m(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance by the haversine formula, which stays exact for short distances."""
    phi_a, phi_b = math.radians(lat_a), math.radians(lat_b)
    chord = (
        math.sin((phi_b - phi_a) / 2) ** 2
        + math.cos(phi_a) * math.cos(phi_b) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))
