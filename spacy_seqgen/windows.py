"""Windows: pieces of a longer text, and where in it they stand.

A Doc is one window, or a batch of them. A Doc that says nothing of windows is a whole
text.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

_KEY = "spacy_seqgen.windows"


class Window(NamedTuple):
    """A piece of a text.

    source (str): The longer text, a path for instance.
    start, stop (int): Offsets of characters in it.
    is_last (bool): Whether the longer text ends here.
    """

    source: str
    start: int
    stop: int
    is_last: bool


Row = tuple[str, Window]


def set_window(doc: Doc, window: Window) -> None:
    """Say that a Doc is a window."""
    doc.user_data[_KEY] = ((doc.text, window),)


def get_window(doc: Doc) -> Window | None:
    """The window that a Doc is, if it is one."""
    stored = doc.user_data.get(_KEY, ())
    return Window(*stored[0][1]) if len(stored) == 1 else None


def get_windows(doc: Doc) -> Sequence[tuple[str, Window | None]]:
    """The texts to learn from a Doc, each with its window."""
    stored = doc.user_data.get(_KEY)
    return [(doc.text, None)] if stored is None else stored


def make_batch(rows: Sequence[Row]) -> Example:
    """A batch of windows as one Example, its Doc with a token for each. spaCy copies every
    Doc of a batch before each update, which for small windows costs more than a tenth of
    the training time; one Doc costs next to nothing.

    rows (Sequence[Row]): The windows, none of them empty.
    """
    # The tokens do not have the texts: a vocabulary would keep every one of them.
    predicted, reference = (Doc(_vocab(), words=["window"] * len(rows)) for _ in range(2))
    reference.user_data[_KEY] = rows
    return Example(predicted, reference)


@functools.cache
def _vocab() -> Vocab:
    return Vocab()
