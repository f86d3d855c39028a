"""Where on the face: three views as polygons, and the regions inside by which injections are named.

Positions are integer thousandths of the view's width and height, from its upper left corner: 0 to 1000 on both axes.
`left` and `right` are the patient's: in the front view the patient's left is at high x, the left view shows the left
half of the face looking to low x. Points on an edge are inside; where regions touch, the first one has the point.
"""

from collections.abc import Iterable
from typing import Final

from domain.errors import FieldError, Invalid, invalid_field

SCALE: Final = 1_000
"""Positions go from 0 to this."""

Polygon = tuple[tuple[int, int], ...]

_FRONT: Final[Polygon] = (
    (500, 20),
    (360, 35),
    (250, 100),
    (185, 210),
    (165, 340),
    (175, 470),
    (200, 590),
    (250, 690),
    (320, 775),
    (320, 860),
    (280, 980),
    (720, 980),
    (680, 860),
    (680, 775),
    (750, 690),
    (800, 590),
    (825, 470),
    (835, 340),
    (815, 210),
    (750, 100),
    (640, 35),
)
_LEFT: Final[Polygon] = (
    (500, 20),
    (320, 60),
    (230, 150),
    (200, 280),
    (215, 360),
    (120, 530),
    (160, 575),
    (175, 620),
    (150, 640),
    (185, 665),
    (165, 700),
    (190, 720),
    (175, 790),
    (240, 840),
    (400, 830),
    (430, 860),
    (400, 980),
    (760, 980),
    (750, 760),
    (820, 600),
    (870, 400),
    (830, 200),
    (700, 70),
)

_FRONT_MIDDLE: Final[dict[str, Polygon]] = {
    "forehead": ((240, 130), (760, 130), (800, 290), (200, 290)),
    "glabella": ((440, 290), (560, 290), (545, 390), (455, 390)),
    "bunny_lines": ((455, 390), (545, 390), (560, 460), (440, 460)),
    "nose": ((440, 460), (560, 460), (580, 560), (420, 560)),
    "upper_lip": ((430, 575), (570, 575), (600, 635), (400, 635)),
    "lower_lip": ((400, 635), (600, 635), (570, 695), (430, 695)),
    "chin": ((420, 700), (580, 700), (570, 805), (430, 805)),
    "platysma": ((330, 815), (670, 815), (700, 970), (300, 970)),
}
_FRONT_RIGHT: Final[dict[str, Polygon]] = {
    "temple_right": ((185, 295), (235, 295), (240, 340), (172, 340)),
    "crows_feet_right": ((175, 345), (255, 345), (265, 450), (185, 450)),
    "cheek_right": ((265, 455), (420, 475), (395, 555), (345, 595), (215, 590)),
    "nasolabial_right": ((400, 560), (420, 562), (395, 665), (350, 665), (350, 600)),
    "marionette_right": ((350, 670), (395, 670), (405, 760), (365, 760)),
    "masseter_right": ((210, 600), (330, 610), (335, 720), (278, 715)),
}
_LEFT_MIDDLE: Final[dict[str, Polygon]] = {
    "forehead": ((250, 140), (520, 140), (500, 285), (215, 285)),
    "glabella": ((212, 295), (260, 295), (265, 360), (222, 360)),
    "bunny_lines": ((222, 365), (275, 365), (265, 440), (190, 440)),
    "nose": ((190, 445), (265, 445), (268, 560), (165, 560)),
    "upper_lip": ((180, 585), (262, 585), (248, 640), (172, 640)),
    "lower_lip": ((195, 650), (246, 645), (245, 700), (190, 700)),
    "chin": ((195, 725), (250, 725), (250, 825), (200, 800)),
    "platysma": ((450, 860), (740, 860), (750, 970), (420, 970)),
}
_LEFT_SIDE: Final[dict[str, Polygon]] = {
    "temple_left": ((450, 290), (560, 290), (560, 400), (455, 400)),
    "crows_feet_left": ((350, 330), (440, 330), (445, 430), (355, 430)),
    "cheek_left": ((300, 445), (480, 450), (470, 590), (330, 600)),
    "nasolabial_left": ((272, 560), (300, 560), (290, 670), (252, 670)),
    "marionette_left": ((252, 675), (295, 675), (300, 760), (256, 760)),
    "masseter_left": ((400, 610), (530, 600), (530, 760), (420, 770)),
}


def _mirrored(polygon: Polygon) -> Polygon:
    return tuple((SCALE - x, y) for x, y in polygon)


def _other_side(regions: dict[str, Polygon]) -> dict[str, Polygon]:
    """The same regions on the other side of the face."""
    other = {"left": "right", "right": "left"}
    found = {}
    for name, polygon in regions.items():
        stem, _, side = name.rpartition("_")
        found[f"{stem}_{other[side]}" if side in other else name] = _mirrored(polygon)
    return found


OUTLINES: Final[dict[str, Polygon]] = {"front": _FRONT, "left": _LEFT, "right": _mirrored(_LEFT)}
REGIONS: Final[dict[str, dict[str, Polygon]]] = {
    "front": {**_FRONT_MIDDLE, **_FRONT_RIGHT, **_other_side(_FRONT_RIGHT)},
    "left": {**_LEFT_MIDDLE, **_LEFT_SIDE},
    "right": {**_other_side(_LEFT_MIDDLE), **_other_side(_LEFT_SIDE)},
}
VIEWS: Final = tuple(OUTLINES)


def region_of(view: str, x: int, y: int) -> str:
    """The region that a position is in, "" for one on the face that has no name.

    Raises `Invalid` for an unknown view, and for a position outside the face (paths `x` and `y`).
    """
    outline = OUTLINES.get(view)
    if outline is None:
        raise invalid_field("view", "unknown_view", f"Must be one of {', '.join(VIEWS)}.")
    if not inside(outline, x, y):
        message = "Not on the face."
        raise Invalid(message, errors=[FieldError(path, "outside_face", message) for path in ("x", "y")])
    return next((name for name, polygon in REGIONS[view].items() if inside(polygon, x, y)), "")


def inside(polygon: Polygon, x: int, y: int) -> bool:
    """Whether a position is in a polygon or on its edge: exact, in integers."""
    odd = False
    for (x1, y1), (x2, y2) in _edges(polygon):
        side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        if side == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
            return True
        if (y1 > y) != (y2 > y) and (side > 0) == (y2 > y1):
            odd = not odd
    return odd


def _edges(polygon: Polygon) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    return zip(polygon, (*polygon[1:], polygon[0]), strict=True)
