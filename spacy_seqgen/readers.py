"""Corpus readers (`@readers`)."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from .textfiles import TextFileError, count_length, find_text_files, read_range
from .vocabularies import Characters
from .windows import Window, set_window

PathOrPaths = str | Path | list[str] | list[Path]

_LONGEST = 100_000  # characters in a Doc when there is no window; spaCy's limit is a million
_DOCS_PER_VOCAB = 10_000
_LONGEST_LINE = 1 << 22  # characters


class PlainText:
    """Reads running text as a corpus for language models: cuts it into windows, each a
    Doc of its own that knows where in the text it stands.

    The Docs are lazy, so with `max_epochs = -1` a text of any size is read in bounded
    memory. A Doc is one token, in a vocabulary of its own: nothing reads the tokens in
    training, and `nlp.vocab` does not grow with the corpus.
    """

    def __init__(
        self,
        path: PathOrPaths,
        *,
        window: int,
        overlap: int,
        start: int | float,
        stop: int | float | None,
        shuffle_buffer: int,
        seed: int,
        tokenize: bool,
    ):
        if window < 0:
            raise ValueError(f"window must be 0 or more, got {window}")
        if not 0 <= overlap < (window or _LONGEST):
            raise ValueError(f"overlap must be from 0 to below window ({window}), got {overlap}")
        if shuffle_buffer < 0:
            raise ValueError(f"shuffle_buffer must be 0 or more, got {shuffle_buffer}")
        _check_bound("start", start)
        _check_bound("stop", stop)
        self.path = path
        self.window = window or _LONGEST
        self.overlap = overlap
        self.start = start
        self.stop = stop
        self.shuffle_buffer = shuffle_buffer
        self.seed = seed
        self.tokenize = tokenize
        self.epoch = 0

    def __call__(self, nlp: Language) -> Iterator[Example]:
        rng = random.Random(f"{self.seed} {self.epoch}")
        self.epoch += 1
        pieces = shuffled(self.windows(), self.shuffle_buffer, rng)
        vocab = Vocab()
        for number, (text, window) in enumerate(pieces, 1):
            if number % _DOCS_PER_VOCAB == 0:
                vocab = Vocab()  # the old one goes when its Docs go
            if self.tokenize:
                predicted, reference = nlp.make_doc(text), nlp.make_doc(text)
            else:
                predicted, reference = _one_token(vocab, text), _one_token(vocab, text)
            set_window(reference, window)
            yield Example(predicted, reference)

    def windows(self) -> Iterator[tuple[str, Window]]:
        """The text of each window, and where it stands.

        RAISES (TextFileError): If there is no text.
        """
        empty = True
        for path, start, stop, is_end in self._ranges():
            for text, first, is_last in self._cut(read_range(path, start, stop)):
                empty = False
                place = start + first
                last = is_last and is_end
                yield text, Window(str(path), place, place + len(text), last)
        if empty:
            raise TextFileError(
                f"There is no text in {self.path!s} from {self.start} to "
                f"{'the end' if self.stop is None else self.stop}"
            )

    def _cut(self, blocks: Iterable[str]) -> Iterator[tuple[str, int, bool]]:
        """Windows of a text that comes in blocks, with their offsets."""
        step = self.window - self.overlap
        rest, first = "", 0
        for block in blocks:
            rest += block
            place = 0
            # A window is given out once it is known whether anything follows it.
            while place + self.window < len(rest):
                yield rest[place : place + self.window], first + place, False
                place += step
            rest, first = rest[place:], first + place
        if rest:
            yield rest, first, True

    def _ranges(self) -> Iterator[tuple[Path, int, int | None, bool]]:
        """The part of each file to read: characters, and whether the file ends there.
        `start` and `stop` count over all files together."""
        files = find_text_files(self.path)
        # 1.0 is the whole, but 1 is one character.
        to_the_end = self.stop is None or (isinstance(self.stop, float) and self.stop == 1)
        if self.start == 0 and to_the_end:
            yield from ((path, 0, None, True) for path in files)
            return
        lengths = [count_length(path) for path in files]
        total = sum(lengths)
        start, stop = _position(self.start, total), _position(self.stop, total)
        before = 0
        for path, length in zip(files, lengths, strict=True):
            first, last = max(0, start - before), min(length, stop - before)
            if last > first:
                yield path, first, last, last == length
            before += length


def create_plain_text_reader(
    path: PathOrPaths | None,
    window: int = 0,
    overlap: int = 0,
    start: int | float = 0,
    stop: int | float | None = None,
    shuffle_buffer: int = 0,
    seed: int = 0,
    tokenize: bool = False,
) -> Callable[[Language], Iterable[Example]]:
    """Read running text. Registered as `spacy-seqgen.plain_text.v1` (`@readers`).

    path (str | Path | list): A file, a directory, a glob pattern or a list of them; plain
        or gzip, UTF-8.
    window (int): Characters in each Doc. 0 makes Docs as long as files are, up to
        100,000 characters; the batcher `text_streams.v1` cuts them itself.
    overlap (int): Characters that a window repeats from the one before.
    start, stop (int | float | None): The part to read: a number of characters (int), or
        a share of the whole (float from 0.0 to 1.0). `stop = null` reads to the end.
    shuffle_buffer (int): Windows held to be mixed. For a corpus that is streamed
        (`max_epochs = -1`), which spaCy does not shuffle; 0 keeps their order.
    seed (int): Of the mixing.
    tokenize (bool): Tokenize the Docs, for other components in the same pipeline.
    """
    if path is None:
        raise TextFileError(
            "The plain text reader has no path. Set it in the config or on the command line, for "
            "instance --paths.train FILE --paths.dev FILE"
        )
    return PlainText(
        path,
        window=window,
        overlap=overlap,
        start=start,
        stop=stop,
        shuffle_buffer=shuffle_buffer,
        seed=seed,
        tokenize=tokenize,
    )


def count_characters(
    path: PathOrPaths, nfc: bool = False, lowercase: bool = False
) -> dict[str, int]:
    """How often each character occurs in a text of any size: a vocabulary for
    `[initialize.components]`. Registered as `spacy-seqgen.count_characters.v1`
    (`@readers`).

    path (str | Path | list): As for the plain text reader.
    nfc (bool), lowercase (bool): As in the vocabulary.
    """
    vocabulary = Characters(nfc=nfc, lowercase=lowercase)
    counts: Counter[str] = Counter()
    for file in find_text_files(path):
        rest = ""
        for block in read_range(file, 0, None):
            # At the end of a line: nothing composes with a line break.
            text, cut, rest = (rest + block).rpartition("\n")
            if len(rest) > _LONGEST_LINE:
                text, cut, rest = text + cut, rest, ""
            counts.update(vocabulary.count([text + cut]))
        counts.update(vocabulary.count([rest]))
    return dict(counts)


def _one_token(vocab: Vocab, text: str) -> Doc:
    return Doc(vocab, words=[text], spaces=[False])


def shuffled(items: Iterable[Any], size: int, rng: random.Random) -> Iterator[Any]:
    """Items in a random order, as far as a buffer of a size allows."""
    if size < 2:
        yield from items
        return
    held: list[Any] = []
    for item in items:
        if len(held) < size:
            held.append(item)
            continue
        place = rng.randrange(size)
        yield held[place]
        held[place] = item
    rng.shuffle(held)
    yield from held


def _check_bound(name: str, value: int | float | None) -> None:
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= (1 if isinstance(value, float) else math.inf):
        raise ValueError(
            f"{name} must be a number of characters (an int, such as 5000) or a share (a float "
            f"from 0.0 to 1.0, written with a leading 0), got {value!r}"
        )
    if name == "stop" and isinstance(value, int) and value == 1:
        raise ValueError("stop = 1 would be one character. Write 1.0 for the whole text")


def _position(bound: int | float | None, total: int) -> int:
    if bound is None:
        return total
    return int(bound * total) if isinstance(bound, float) else min(bound, total)
