"""What a name is found by: its words without case and accents, and their beginnings."""

import re
import unicodedata
from typing import Final

PREFIX_MIN: Final = 3
"""Characters of the shortest beginning that finds a word; shorter words are found whole only."""
PREFIX_MAX: Final = 16
"""Characters of a word that count."""

_WORD: Final = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words of a text in their order, each once: `Dr. Zoë Groß` is `dr`, `zoe`, `gross`."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(each for each in unicodedata.normalize("NFKD", apart) if not unicodedata.combining(each))
    return list(dict.fromkeys(word[:PREFIX_MAX] for word in _WORD.findall(plain)))


def beginnings_of(text: str) -> list[str]:
    """All that finds a text with these words: whoever looks for one of `words_of(query)` looks for it in these."""
    found: dict[str, None] = {}
    for word in words_of(text):
        for length in range(min(PREFIX_MIN, len(word)), len(word) + 1):
            found[word[:length]] = None
    return list(found)
