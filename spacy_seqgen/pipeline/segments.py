"""Cutting a Doc into what is translated at once, and putting translations together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from spacy.tokens import Doc


class Segment(NamedTuple):
    """A part of a Doc's text without spaces around it: characters from `start` to before
    `end`."""

    start: int
    end: int


def find_segments(doc: Doc) -> list[Segment]:
    """The sentences of a Doc where they are known, else its lines. Empty ones are left
    out."""
    if doc.has_annotation("SENT_START"):
        bounds = [(sent.start_char, sent.end_char) for sent in doc.sents]
    else:
        bounds = [(0, len(doc.text))]
    return [segment for start, end in bounds for segment in _lines(doc.text, start, end)]


def _lines(text: str, start: int, end: int) -> Iterator[Segment]:
    for line in text[start:end].splitlines(keepends=True):
        shown = line.strip()
        if shown:
            first = start + len(line) - len(line.lstrip())
            yield Segment(first, first + len(shown))
        start += len(line)


def join_segments(text: str, segments: Sequence[Segment], translations: Sequence[str]) -> str:
    """Translations with what stood between the segments: spaces and empty lines."""
    parts, last = [], 0
    for segment, translation in zip(segments, translations, strict=True):
        parts += [text[last : segment.start], translation]
        last = segment.end
    return "".join([*parts, text[last:]])
