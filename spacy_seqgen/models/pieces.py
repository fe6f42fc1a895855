"""The pieces that a pre-trained encoder reads, in windows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

_TEXTS = 256  # tokenized at a time


class Windows(NamedTuple):
    """Texts as ids.

    ids (list[np.ndarray]): Each window of each text, in order, int64, with the special
        symbols of the encoder around it.
    counts (list[int]): How many windows each text has, 1 or more.
    """

    ids: list[np.ndarray]
    counts: list[int]


class Pieces:
    """Cuts texts into pieces, and long ones into overlapping windows: nothing is cut off.

    data (str): A tokenizer of the `tokenizers` library, as JSON.
    window (int): Most pieces in a window, the special symbols included.
    stride (int): Pieces from the beginning of a window to that of the next.
    RAISES (ValueError): If window and stride don't fit together.
    """

    def __init__(self, data: str, *, window: int, stride: int):
        self._tokenizer = Tokenizer.from_str(data)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        plain = self._tokenizer.encode("a", add_special_tokens=False).ids
        whole = self._tokenizer.encode("a").ids
        before = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
        self.before, self.after = whole[:before], whole[before + len(plain) :]
        self.room = window - len(self.before) - len(self.after)
        if not 0 < stride <= self.room:
            raise ValueError(
                f"stride must be from 1 to window - {window - self.room}, the special symbols, got "
                f"stride {stride} with window {window}"
            )
        self.stride = stride

    def __call__(self, texts: Sequence[str]) -> Windows:
        ids, counts = [], []
        for first in range(0, len(texts), _TEXTS):
            part = list(texts[first : first + _TEXTS])
            for encoding in self._tokenizer.encode_batch_fast(part, add_special_tokens=False):
                found = [self._frame(piece) for piece in self._cut(encoding.ids)]
                ids += found
                counts.append(len(found))
        return Windows(ids, counts)

    def offsets(self, text: str) -> Iterator[list[tuple[int, int]]]:
        """For each window of a text, where its pieces stand, in characters; (0, 0) for
        special symbols."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        none = (0, 0)
        for piece in self._cut(encoding.offsets):
            yield [none] * len(self.before) + piece + [none] * len(self.after)

    def _cut(self, pieces: list) -> Iterator[list]:
        yield pieces[: self.room]
        start = 0
        while start + self.room < len(pieces):
            start += self.stride
            yield pieces[start : start + self.room]

    def _frame(self, ids: list[int]) -> np.ndarray:
        return np.array([*self.before, *ids, *self.after], dtype=np.int64)
