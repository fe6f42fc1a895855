"""The words and marks of a text that was generated, in any language."""

import re
import unicodedata

_JOINERS = "\u200c\u200d"  # zero width, inside words of Persian and of Indic languages
_TOKEN = re.compile(r"\w+|[^\w\s]")


def find_token_bounds(text: str) -> list[tuple[int, int]]:
    """Where the tokens of a text begin and end. Combining marks, of which Indic scripts are
    full, belong to the letters that they stand on."""
    if text.isascii():
        return [match.span() for match in _TOKEN.finditer(text)]
    bounds: list[tuple[int, int]] = []
    joins = False  # the token before goes on with this one
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        is_mark = text[start] in _JOINERS or unicodedata.category(text[start]).startswith("M")
        if bounds and bounds[-1][1] == start and (is_mark or (joins and text[start].isalnum())):
            bounds[-1] = bounds[-1][0], end
        else:
            bounds.append((start, end))
        joins = is_mark
    return bounds


def find_tokens(text: str) -> tuple[str, ...]:
    """The tokens themselves."""
    return tuple(text[start:end] for start, end in find_token_bounds(text))
