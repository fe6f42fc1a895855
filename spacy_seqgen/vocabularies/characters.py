"""Characters as symbols."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .base import SPECIALS, UNK, Encoded, Source, Vocabulary


class Characters(Vocabulary):
    """Every character (Unicode code point) is a symbol.

    nfc (bool): Compose characters first (Unicode normal form C), so that "e" plus a
        combining acute accent and "é" are the same symbol.
    lowercase (bool): Read everything in lower case.
    min_count (int): Characters rarer than this in the training data become `<unk>`.
    """

    kind = "spacy-seqgen.Characters.v1"

    def __init__(self, *, nfc: bool = False, lowercase: bool = False, min_count: int = 1):
        super().__init__(min_count=min_count)
        self.nfc = nfc
        self.lowercase = lowercase
        self._table = np.full(1, UNK, dtype=np.int64)

    @property
    def is_of_text(self) -> bool:
        return True

    @property
    def settings(self) -> dict[str, Any]:
        return {"nfc": self.nfc, "lowercase": self.lowercase, "min_count": self.min_count}

    def split(self, source: Source) -> tuple[str, np.ndarray]:
        text, starts = self._fold(source if isinstance(source, str) else source.text)
        return text, np.arange(len(text)) if starts is None else starts

    def _fold(self, text: str) -> tuple[str, np.ndarray | None]:
        """The text that is looked up, and where its characters come from if that is not
        the same place."""
        starts = None
        if self.nfc and not unicodedata.is_normalized("NFC", text):
            text, starts = _compose(text)
        return _lower(text, starts) if self.lowercase else (text, starts)

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(symbols)

    def encode(self, source: Source) -> Encoded:
        # A table look-up over code points: 50 times as fast as a dict for long texts.
        text, starts = self.split(source)
        return Encoded(self._look_up(text), starts)

    def encode_all(self, texts: Sequence[Source]) -> tuple[np.ndarray, np.ndarray]:
        plain = [text if isinstance(text, str) else text.text for text in texts]
        is_folded = self.nfc or self.lowercase
        folded = [self._fold(text)[0] for text in plain] if is_folded else plain
        lengths = np.array([len(text) for text in folded], dtype=np.int64)
        return self._look_up("".join(folded)), lengths

    def _look_up(self, text: str) -> np.ndarray:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return self._table[np.minimum(codes, len(self._table) - 1)]

    def build(self, counts: dict[str, int]) -> None:
        strange = [s for s in counts if isinstance(s, str) and self._fold(s)[0] != s]
        if strange:
            raise ValueError(
                f"The counts hold characters that this vocabulary never makes of a text, such as "
                f"{strange[0]!r}: count them with the same settings (nfc = {self.nfc}, lowercase = "
                f"{self.lowercase})"
            )
        super().build(counts)

    def _set_symbols(self, symbols: list[str]) -> None:
        first = len(SPECIALS)
        if not all(len(symbol) == 1 for symbol in symbols[first:]):
            raise ValueError("every symbol of a character vocabulary must be one character")
        super()._set_symbols(symbols)
        codes = [ord(symbol) for symbol in symbols[first:]]
        # The last entry stands for every code point above the highest one known.
        self._table = np.full(max(codes, default=0) + 2, UNK, dtype=np.int64)
        self._table[codes] = np.arange(first, len(symbols))


def make_characters(nfc: bool = False, lowercase: bool = False, min_count: int = 1) -> Characters:
    """Registered as `spacy-seqgen.Characters.v1` (`@misc`)."""
    return Characters(nfc=nfc, lowercase=lowercase, min_count=min_count)


def _compose(text: str) -> tuple[str, np.ndarray]:
    """Normal form C, with the offset in `text` at which each character of it begins.

    Works cluster by cluster, a cluster being what may compose: a base character with
    the marks after it, or the jamo of a Hangul syllable.
    """
    out: list[str] = []
    starts: list[int] = []
    begin = 0
    for end in range(1, len(text) + 1):
        if end < len(text) and _may_compose(text[max(begin, end - 8) : end], text[end]):
            continue
        cluster = unicodedata.normalize("NFC", text[begin:end])
        out.append(cluster)
        starts.extend(min(begin + k, end - 1) for k in range(len(cluster)))
        begin = end
    return "".join(out), np.array(starts, dtype=np.int64)


def _may_compose(cluster: str, after: str) -> bool:
    if unicodedata.combining(after):
        return True
    if after.isascii():
        return False
    together = unicodedata.normalize("NFC", cluster + after)
    apart = unicodedata.normalize("NFC", cluster) + unicodedata.normalize("NFC", after)
    return together != apart


def _lower(text: str, starts: np.ndarray | None) -> tuple[str, np.ndarray | None]:
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered, starts
    # A few characters grow, such as the Turkish dotted capital I.
    parts = [char.lower() for char in text]
    origin = np.arange(len(text)) if starts is None else starts
    return "".join(parts), np.repeat(origin, [len(part) for part in parts])
