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
    RAISES (ValueError): If window and stride don't fit together, or the tokenizer can't be
        used.
    """

    def __init__(self, data: str, *, window: int, stride: int):
        try:
            self._tokenizer = Tokenizer.from_str(data)
        except Exception as error:  # tokenizers raise bare ones
            raise ValueError(f"the tokenizer can't be read ({error})") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        plain = self._tokenizer.encode("a", add_special_tokens=False).ids
        whole = self._tokenizer.encode("a").ids
        places = range(len(whole) - len(plain) + 1) if plain else ()
        before = next((i for i in places if whole[i : i + len(plain)] == plain), None)
        if before is None:
            raise ValueError(
                "The tokenizer of the encoder makes no pieces of the text 'a', or others with "
                "special symbols around it than without: it is damaged, or of another kind"
            )
        self.before, self.after = whole[:before], whole[before + len(plain) :]
        self._nothing = [] if self.before or self.after else [self._piece_of_nothing()]
        self.window = window
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
            inside = piece or [none] * len(self._nothing)
            yield [none] * len(self.before) + inside + [none] * len(self.after)

    def _cut(self, pieces: list) -> Iterator[list]:
        yield pieces[: self.room]
        start = 0
        while start + self.room < len(pieces):
            start += self.stride
            yield pieces[start : start + self.room]

    def _frame(self, ids: list[int]) -> np.ndarray:
        ids = ids or self._nothing  # a window has a piece, if only a special symbol
        return np.array([*self.before, *ids, *self.after], dtype=np.int64)

    def _piece_of_nothing(self) -> int:
        """What stands for a text without pieces: an unknown word, or padding."""
        own = getattr(self._tokenizer.model, "unk_token", None) or "[UNK]"
        names = (own, "[UNK]", "<unk>", "[PAD]", "<pad>")
        found = (self._tokenizer.token_to_id(name) for name in names)
        return next((number for number in found if number is not None), 0)
