"""Sentence pairs as ids."""

import operator
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..translations import get_translation
from ..vocabularies import Vocabulary

_MOST = 2**26  # bytes of the pairs that are kept
_EACH = 400  # of a pair, beside its texts and their symbols

Ids = tuple[np.ndarray, np.ndarray]


def encode_pair(doc: Doc, source: Vocabulary, target: Vocabulary) -> Ids:
    """The ids of a Doc and of its translation: shape (symbols,) each."""
    return source.encode(doc).ids, target.encode(get_translation(doc) or "").ids


class KeptPairs:
    """The ids of sentence pairs for training, from one pass over the data to the next. To find
    them takes 5 % of an update, and one core, however many the rest of it has."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], Ids] = {}
        self._room = _MOST
        self._symbols: tuple[list[str] | None, ...] = (None, None)  # for which they hold

    def sample(self, doc: Doc, source: Vocabulary, target: Vocabulary) -> Ids:
        """Like `encode_pair`, but where there are several ways to cut a text into symbols, any
        of them."""
        translation = get_translation(doc) or ""
        if not (source.is_of_text and target.is_of_text):
            return source.sample(doc).ids, target.sample(translation).ids
        symbols = source.symbols, target.symbols
        if any(map(operator.is_not, symbols, self._symbols)):  # loaded or built anew
            self._pairs, self._room, self._symbols = {}, _MOST, symbols
        pair = doc.text, translation
        found = self._pairs.get(pair)
        if found is None:
            ids = source.sample(doc).ids, target.sample(translation).ids
            found = ids[0].astype(np.int32), ids[1].astype(np.int32)
            size = _EACH + sum(map(len, pair)) + sum(item.nbytes for item in found)
            if size <= self._room:
                self._room -= size
                self._pairs[pair] = found
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Copies find their own."""
        return vars(KeptPairs())
