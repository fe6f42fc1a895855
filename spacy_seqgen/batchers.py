"""Batchers (`@batchers`)."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise

from spacy.training import Example

from .windows import Window, get_window


def create_text_streams_batcher(
    rows: int = 64, buffer: int = 0
) -> Callable[[Iterable[Example]], Iterator[list[Example]]]:
    """Batches in which each row continues the same row of the batch before, so that a
    model can carry its state from window to window. Registered as
    `spacy-seqgen.text_streams.v1` (`@batchers`).

    The windows of the plain text reader are put back into the order of the text and cut
    into `rows` streams of equal length; a batch has the next window of each stream. The
    text begins at a random place in each epoch, so that batches differ.

    rows (int): Examples in a batch.
    buffer (int): Windows to take in before cutting. 0 takes in everything; a corpus that
        is streamed (`max_epochs = -1`) needs a limit, such as 100 times `rows`.
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, got {rows}")
    if buffer and buffer < rows:
        raise ValueError(f"buffer must be 0, or at least rows ({rows}), got {buffer}")

    def batch(examples: Iterable[Example]) -> Iterator[list[Example]]:
        stream = iter(examples)
        while taken := list(islice(stream, buffer or None)):
            yield from _streams(taken, rows)

    return batch


def _streams(examples: list[Example], rows: int) -> Iterator[list[Example]]:
    examples = sorted(examples, key=_place)  # stable: those without a place keep their order
    turn = random.randrange(len(examples))
    examples = examples[turn:] + examples[:turn]
    rows = min(rows, len(examples))
    length, longer = divmod(len(examples), rows)
    starts = [row * length + min(row, longer) for row in range(rows + 1)]
    for step in range(length + (longer > 0)):
        yield [examples[first + step] for first, end in pairwise(starts) if first + step < end]


def _place(example: Example) -> tuple[str, int]:
    window: Window | None = get_window(example.reference)
    return (window.source, window.start) if window else ("", 0)
