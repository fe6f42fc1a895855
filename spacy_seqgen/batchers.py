"""Batchers (`@batchers`)."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from spacy.training import Example
from spacy.util import minibatch

from .translations import get_symbol_counts, get_translation
from .windows import Row, Window, get_window, make_batch


def create_text_streams_batcher(
    rows: int = 32, window: int = 64, buffer: int = 0
) -> Callable[[Iterable[Example]], Iterator[list[Example]]]:
    """Batches in which each row continues the same row of the batch before, so that a
    model can carry its state through the text: truncated back-propagation through time.
    Registered as `spacy-seqgen.text_streams.v1` (`@batchers`).

    The pieces of the plain text reader are put back into the order of the text, joined,
    and cut into `rows` streams of equal length; a batch has the next window of each. The
    text begins at a random place in each epoch, so that batches differ. Docs that are no
    pieces of a longer text are texts of their own.

    rows (int): Windows in a batch, which is one Example.
    window (int): Characters in a window, through which gradients flow back.
    buffer (int): Characters to take in before cutting. 0 takes in everything; a corpus
        that is streamed (`max_epochs = -1`) needs a limit.
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, got {rows}")
    if window < 1:
        raise ValueError(f"window must be 1 or more, got {window}")
    if buffer and buffer < rows * window:
        raise ValueError(f"buffer must be 0, or at least rows x window, got {buffer}")

    def batch(examples: Iterable[Example]) -> Iterator[list[Example]]:
        for texts in _texts(examples, buffer):
            streams = _streams(texts, rows, window)
            while streams:
                heads = [next(stream, None) for stream in streams]
                streams = [s for s, head in zip(streams, heads, strict=True) if head]
                found = [head for head in heads if head]
                if found:
                    yield [make_batch(found)]

    return batch


class _Text(NamedTuple):
    """Consecutive characters of one source."""

    text: str
    window: Window


def _texts(examples: Iterable[Example], buffer: int) -> Iterator[list[_Text]]:
    """The texts of the corpus, as much at a time as the buffer holds."""
    stream = enumerate(examples)
    while True:
        taken, size = [], 0
        for number, example in stream:
            text = example.reference.text
            if text:
                whole = Window(f"text {number}", 0, len(text), True)
                taken.append(_Text(text, get_window(example.reference) or whole))
            size += len(text)
            if buffer and size >= buffer:
                break
        if not taken:
            return
        yield _joined(taken)


def _joined(pieces: list[_Text]) -> list[_Text]:
    """Pieces in the order of the text, those that follow each other as one."""
    runs: list[list[_Text]] = []
    for piece in sorted(pieces, key=lambda piece: piece.window[:2]):
        last = runs[-1][-1].window if runs else None
        if last and last.source == piece.window.source:
            piece = _without_overlap(piece, last)
        if last and (last.source, last.stop) == (piece.window.source, piece.window.start):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    joined = []
    for run in runs:
        (source, start, _, _), (_, _, stop, is_last) = run[0].window, run[-1].window
        text = "".join(piece.text for piece in run)
        joined.append(_Text(text, Window(source, start, stop, is_last)))
    return joined


def _without_overlap(piece: _Text, last: Window) -> _Text:
    """Without what it repeats from the window before. (The same window twice, from two
    epochs, is no overlap.)"""
    source, start, stop, is_last = piece.window
    if not last.start < start < last.stop < stop:
        return piece
    return _Text(piece.text[last.stop - start :], Window(source, last.stop, stop, is_last))


def _streams(texts: list[_Text], rows: int, window: int) -> list[Iterator[Row]]:
    """Equal shares of the texts, each from where the one before ends."""
    total = sum(len(text) for text, _ in texts)
    rows = min(rows, total)
    turn = random.randrange(total)
    bounds = [turn + total * row // rows for row in range(rows + 1)]
    return [_windows(_cut(texts, first, last), window) for first, last in pairwise(bounds)]


def _cut(texts: list[_Text], first: int, last: int) -> Iterator[_Text]:
    """The characters from `first` to before `last`, all texts together; behind the last
    one comes the first one again."""
    position = 0
    for text, window in [*texts, *texts]:
        start, stop = max(0, first - position), min(len(text), last - position)
        if start < stop:
            ends = window.is_last and stop == len(text)
            place = Window(window.source, window.start + start, window.start + stop, ends)
            yield _Text(text[start:stop], place)
        position += len(text)


def _windows(parts: Iterable[_Text], size: int) -> Iterator[Row]:
    for text, (source, start, _, ends) in parts:
        for place in range(0, len(text), size):
            piece = text[place : place + size]
            stop = place + len(piece)
            yield piece, Window(source, start + place, start + stop, ends and stop == len(text))


def create_padded_pairs_batcher(
    size: int = 8000, buffer: int = 2048
) -> Callable[[Iterable[Example]], Iterator[list[Example]]]:
    """Batches of sentence pairs of similar length. Registered as
    `spacy-seqgen.padded_pairs.v1` (`@batchers`).

    size (int): Most characters in a batch, padding included: rows x (the longest source +
        the longest translation). A pair that is longer is a batch by itself.
    buffer (int): Pairs to sort by length at a time: by symbols where the reader knows how
        many there are (`spacy-seqgen.parallel.v1`, in training), else by characters. Their
        batches come in random order.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    if buffer < 1:
        raise ValueError(f"buffer must be 1 or more, got {buffer}")

    def batch(examples: Iterable[Example]) -> Iterator[list[Example]]:
        for group in minibatch(examples, buffer):
            found = list(_by_padded_pair(group, size))
            random.shuffle(found)
            yield from found

    return batch


def _by_padded_pair(examples: list[Example], size: int) -> Iterator[list[Example]]:
    lengths = [_pair_lengths(example) for example in examples]
    group: list[Example] = []
    longest = 0, 0
    pairs = zip(examples, lengths, strict=True)
    order = [_symbol_counts(example) or length for example, length in pairs]
    for index in sorted(range(len(examples)), key=order.__getitem__):
        target, source = lengths[index]
        widest = max(longest[0], target), max(longest[1], source)
        if group and (len(group) + 1) * sum(widest) > size:
            yield group
            group, widest = [], (target, source)
        group.append(examples[index])
        longest = widest
    if group:
        yield group


def _symbol_counts(example: Example) -> tuple[int, int] | None:
    """Symbols of the translation and of the source, if they were counted."""
    counts = get_symbol_counts(example.reference)
    return counts and (counts[1], counts[0])


def _pair_lengths(example: Example) -> tuple[int, int]:
    """Characters of the translation and of the source."""
    translation = get_translation(example.reference) or ""
    return len(translation), len(example.reference.text)
