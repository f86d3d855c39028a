"""The baskets that the demo replays: read from a CSV file, or made up in the same shape from a seed.

The columns are those of the "Groceries" point-of-sale data: `Member_number,Date,itemDescription`, one row per item
bought. What one member bought on one day is a basket; the same item on two rows is a quantity of two.
There are no prices in it: `price_minor` derives one per item from a fixed hash.
"""

import csv
import gzip
import hashlib
import io
import random
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final, TextIO

import msgspec

from actors.cart_state import NAME_LENGTH_MAX
from cluster.errors import BadSettingsError

COLUMNS: Final = ("Member_number", "Date", "itemDescription")
CURRENCY: Final = "EUR"
SEED: Final = 20150101

_GZIP_MAGIC: Final = b"\x1f\x8b"
_SIZES: Final = {2: 10_080, 3: 2_698, 4: 1_390, 5: 344, 6: 175, 7: 80, 8: 145, 9: 50, 11: 1}
"""How many baskets of the real data have so many rows."""
_BASKETS_PER_MEMBER: Final = 3.84
_FIRST_DAY: Final = date(2014, 1, 1)
_DAYS: Final = 730
_POPULARITY: Final = 0.85
"""The n-th most popular item sells 1/n^0.85 as often as the first."""
_ITEMS: Final = """
whole milk|root vegetables|rolls|mineral water|natural yogurt|leaf salad|bananas|rye bread|frankfurters|fruit juice
plain soda|pastries|oranges|bottled beer|shopping bag|cheese slices|whipping cream|newspaper|brown eggs|pork cutlets
frozen peas|butter|minced beef|chocolate bar|curd|domestic apples|napkins|margarine|salted snack|cream cheese
dessert|coffee beans|long-life bakery|frozen meals|hamburger meat|tropical fruit|canned beer|white bread|onions|sugar
berries|chicken|grapes|ham|hygiene articles|hard cheese|candy|waffles|oil|cat food|white wine|red wine|dishes
specialty bar|UHT milk|sliced cheese|beverages|pip fruit|pickled vegetables|ice cream|soft cheese|pasta|vinegar|flour
rice|mustard|honey|tea|jam|cereals|baking powder|herbs|canned fish|soups|liver loaf|mayonnaise|cleaner|dog food
detergent|flowers|chewing gum|popcorn|turkey|sparkling wine|light bulbs|candles|toothpaste|sauces|salt|spices
"""
SAMPLE_ITEMS: Final = tuple(name for row in _ITEMS.split("\n") for name in row.split("|") if name)


class Basket(msgspec.Struct, frozen=True):
    """What one member bought on one day. `items` has one entry per row, in the file's order."""

    number: int
    member: str
    day: str
    items: tuple[str, ...]

    @property
    def wanted(self) -> Counter[str]:
        """Quantities by item."""
        return Counter(self.items)

    @property
    def total_minor(self) -> int:
        return sum(price_minor(item) for item in self.items)


def price_minor(item: str) -> int:
    """The demo's price of an item in minor units: 0.49 to 14.99 from a hash of its name, the same everywhere."""
    digest = hashlib.sha256(f"atrium demo price {item}".encode()).digest()
    return 49 + int.from_bytes(digest[:4], "big") % 146 * 10


def read_baskets(path: Path, limit: int | None = None) -> list[Basket]:
    """The baskets of a CSV file, plain or gzip, in order of first appearance; the first `limit` of them.

    Rows of one basket need not be adjacent. Raises `BadSettingsError` that names the file and the line.
    """
    try:
        with _text(path) as file:
            rows = _group(_rows(file, path))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise BadSettingsError(f"{path} cannot be read: {error}") from error
    if not rows:
        raise BadSettingsError(f"{path} has no baskets")
    keys = list(rows)[:limit]
    return [Basket(number, *key, tuple(rows[key])) for number, key in enumerate(keys)]


def _text(path: Path) -> TextIO:
    with path.open("rb") as probe:
        packed = probe.read(2) == _GZIP_MAGIC
    if packed:
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _rows(file: TextIO, path: Path) -> Iterator[tuple[str, str, str]]:
    reader = csv.DictReader(file)
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise BadSettingsError(f"{path} has no column {', '.join(missing)}; it needs {','.join(COLUMNS)}")
    for row in reader:
        member, day, item = ((row[column] or "").strip() for column in COLUMNS)
        if not (member and day and item):
            raise BadSettingsError(f"{path} line {reader.line_num}: member, date and item must not be empty")
        if len(item) > NAME_LENGTH_MAX or not item.isprintable():
            reason = f"an item has at most {NAME_LENGTH_MAX} printable characters"
            raise BadSettingsError(f"{path} line {reader.line_num}: {reason}")
        yield member, day, item


def _group(rows: Iterator[tuple[str, str, str]]) -> dict[tuple[str, str], list[str]]:
    baskets: dict[tuple[str, str], list[str]] = {}
    for member, day, item in rows:
        baskets.setdefault((member, day), []).append(item)
    return baskets


def sample_baskets(count: int, seed: int = SEED) -> list[Basket]:
    """`count` made-up baskets: sizes like the real data's, a few items sold often and many seldom."""
    chance = random.Random(seed)
    members = max(1, round(count / _BASKETS_PER_MEMBER))
    sizes, weights = list(_SIZES), list(_SIZES.values())
    popularity = [1 / (rank + 1) ** _POPULARITY for rank in range(len(SAMPLE_ITEMS))]
    taken: set[tuple[str, str]] = set()
    baskets: list[Basket] = []
    while len(baskets) < count:
        member = str(1_000 + chance.randrange(members))
        day = (_FIRST_DAY + timedelta(days=chance.randrange(_DAYS))).strftime("%d-%m-%Y")
        if (member, day) in taken:
            continue
        taken.add((member, day))
        size = chance.choices(sizes, weights)[0]
        items = tuple(chance.choices(SAMPLE_ITEMS, popularity, k=size))
        baskets.append(Basket(len(baskets), member, day, items))
    return baskets


def load(path: Path | None, limit: int | None, default_count: int) -> list[Basket]:
    """The file's baskets, or without a file the sample's."""
    if path is None:
        return sample_baskets(limit or default_count)
    return read_baskets(path, limit)
