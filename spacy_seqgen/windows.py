"""Windows: pieces of a longer text, and where in it they stand.

A Doc is one window, or several at once: then each of its tokens is a window of its own,
and there is no meaning in their order. A Doc that says nothing of windows is a whole text.
"""

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


def set_window(doc: Doc, window: Window) -> None:
    """Say that a Doc is a window."""
    doc.user_data[_KEY] = (tuple(window),)


def get_window(doc: Doc) -> Window | None:
    """The window that a Doc is, if it is one."""
    stored = doc.user_data.get(_KEY, ())
    return Window(*stored[0]) if len(stored) == 1 else None


def get_windows(doc: Doc) -> list[tuple[str, Window | None]]:
    """The texts to learn from a Doc, each with its window."""
    stored = doc.user_data.get(_KEY)
    if stored is None:
        return [(doc.text, None)]
    if len(stored) == 1:
        return [(doc.text, Window(*stored[0]))]
    return [(token.text, Window(*item)) for token, item in zip(doc, stored, strict=True)]


def make_batch(rows: Sequence[tuple[str, Window]]) -> Example:
    """A batch of windows as one Example. spaCy copies every Doc of a batch before each
    update, which for small windows costs more than a tenth of the training time; one Doc
    costs next to nothing.

    rows (Sequence[tuple[str, Window]]): The windows, none of them empty.
    """
    # A vocabulary of its own, which goes with the Doc: nothing is kept of the corpus.
    vocab = Vocab()
    words = [text for text, _ in rows]
    reference = Doc(vocab, words=words, spaces=[False] * len(words))
    reference.user_data[_KEY] = tuple(tuple(window) for _, window in rows)
    return Example(Doc(vocab, words=words, spaces=[False] * len(words)), reference)
