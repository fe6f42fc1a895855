"""Sentence pairs as ids."""

import operator

import numpy as np
from spacy.tokens import Doc

from ..translations import get_translation
from ..vocabularies import Vocabulary

_MOST = 2**24  # characters of the pairs that are kept

Ids = tuple[np.ndarray, np.ndarray]


class PairEncoder:
    """The ids of a Doc and of its translation. In training they are kept from one pass over the
    data to the next: to find them takes 5 % of an update, and more where others compute on
    several cores.

    source (Vocabulary), target (Vocabulary): Of both sides.
    """

    def __init__(self, source: Vocabulary, target: Vocabulary):
        self.source = source
        self.target = target
        self._kept: dict[tuple[str, str], Ids] = {}
        self._room = _MOST
        self._symbols: tuple[list[str] | None, ...] = (None, None)  # for which they hold

    def encode(self, doc: Doc) -> Ids:
        """
        RETURNS (tuple[np.ndarray, np.ndarray]): Shape (symbols,) each, of any type of integers.
        """
        return self.source.encode(doc).ids, self.target.encode(get_translation(doc) or "").ids

    def sample(self, doc: Doc) -> Ids:
        """Like `encode`, for training: where there are several ways to cut a text into symbols,
        any of them."""
        translation = get_translation(doc) or ""
        if not (self.source.is_of_text and self.target.is_of_text):
            return self.source.sample(doc).ids, self.target.sample(translation).ids
        symbols = self.source.symbols, self.target.symbols
        if any(map(operator.is_not, symbols, self._symbols)):
            self._kept, self._room, self._symbols = {}, _MOST, symbols  # loaded or built anew
        pair = doc.text, translation
        found = self._kept.get(pair)
        if found is None:
            source, target = self.encode(doc)
            found = source.astype(np.int32), target.astype(np.int32)
            self._room -= len(pair[0]) + len(pair[1])
            if self._room >= 0:
                self._kept[pair] = found
        return found
