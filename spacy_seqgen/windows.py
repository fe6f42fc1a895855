"""Where the text of a Doc stands in a longer text."""

from typing import NamedTuple

from spacy.tokens import Doc

_KEY = "spacy_seqgen.window"


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
    doc.user_data[_KEY] = tuple(window)


def get_window(doc: Doc) -> Window | None:
    stored = doc.user_data.get(_KEY)
    return None if stored is None else Window(*stored)
