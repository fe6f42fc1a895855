"""Cutting a Doc into what is translated at once, and putting translations together."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from spacy.tokens import Doc

# Where a long line may be cut, from the best place to the worst: behind the end of a
# sentence, behind another mark, between words.
_CUTS = [
    re.compile(r"[.!?…。！？]['\"”’»)\]]*(?=\s|$)|[。！？]"),
    re.compile(r"[,;:–—、；：](?=\s|$)|[、；：]"),
    re.compile(r"(?=\s)"),
]
_SHOWN = re.compile(r"\S")


class Segment(NamedTuple):
    """A part of a Doc's text without spaces around it: characters from `start` to before
    `end`."""

    start: int
    end: int


def find_segments(doc: Doc, longest: int = 0) -> list[Segment]:
    """The sentences of a Doc where they are known, cut where lines end, else its lines. Empty
    ones are left out.

    doc (Doc): The Doc.
    longest (int): What has more characters is cut into pieces: behind the end of a
        sentence, else behind a comma, else between words, else anywhere. 0 for no limit.
    """
    text = doc.text
    if doc.has_annotation("SENT_START"):
        bounds = [(sent.start_char, sent.end_char) for sent in doc.sents]
    else:
        bounds = [(0, len(text))]
    lines = [segment for start, end in bounds for segment in _lines(text, start, end)]
    if not longest:
        return lines
    return [piece for line in lines for piece in _pieces(text, line, longest)]


def _lines(text: str, start: int, end: int) -> Iterator[Segment]:
    for line in text[start:end].splitlines(keepends=True):
        shown = line.strip()
        if shown:
            first = start + len(line) - len(line.lstrip())
            yield Segment(first, first + len(shown))
        start += len(line)


def _pieces(text: str, line: Segment, longest: int) -> Iterator[Segment]:
    start = line.start
    while line.end - start > longest:
        # One character more: whether a space follows decides whether a sentence ends.
        part = text[start : start + longest + 1]
        # A cut in the first half would leave a piece too short to be worth it.
        ends = (
            match.end()
            for cut in _CUTS
            for match in reversed(list(cut.finditer(part)))
            if longest // 2 < match.end() <= longest
        )
        end = start + next(ends, longest)
        yield Segment(start, start + len(text[start:end].rstrip()))
        shown = _SHOWN.search(text, end, line.end)  # there is one: a line ends with it
        start = shown.start() if shown else line.end
    yield Segment(start, line.end)


def join_segments(text: str, segments: Sequence[Segment], translations: Sequence[str]) -> str:
    """Translations with what stood between the segments: spaces and empty lines."""
    parts, last = [], 0
    for segment, translation in zip(segments, translations, strict=True):
        parts += [text[last : segment.start], translation]
        last = segment.end
    return "".join([*parts, text[last:]])
