"""Reading sentences and their translations (`@readers`)."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import srsly
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.util import logger

from .outputs import install_extensions
from .readers import shuffled
from .textfiles import TextFileError, find_text_files, read_lines
from .translations import get_translation, set_symbol_counts, set_translation


class Pair(NamedTuple):
    """A sentence, its translation, and where they stand; from a `.spacy` file, its Example;
    from JSONL, its `meta`."""

    source: str
    target: str
    place: str
    example: Example | None = None
    meta: dict[str, Any] | None = None


class Parallel:
    """A corpus of sentence pairs. An Example has two Docs with the text of the source;
    the translation is `reference._.translation`, and the `meta` of a line of JSONL
    `reference.user_data["meta"]`."""

    def __init__(
        self,
        path: str | Path,
        target_path: str | Path | None,
        *,
        max_length: int,
        max_ratio: float,
        limit: int,
        shuffle_buffer: int,
        seed: int,
    ):
        for name, value in (("max_length", max_length), ("limit", limit)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more, got {value}")
        if max_ratio and max_ratio < 1:
            raise ValueError(f"max_ratio must be 0, or 1 or more, got {max_ratio}")
        if target_path and str(path).endswith(".spacy"):
            raise ValueError(f"{path} holds the translations too: target_path must be null")
        if shuffle_buffer < 0:
            raise ValueError(f"shuffle_buffer must be 0 or more, got {shuffle_buffer}")
        self.path = path
        self.target_path = target_path
        self.max_length = max_length
        self.max_ratio = max_ratio
        self.limit = limit
        self.shuffle_buffer = shuffle_buffer
        self.seed = seed
        self.epoch = 0
        self._has_reported = False

    def __call__(self, nlp: Language) -> Iterator[Example]:
        rng = random.Random(f"{self.seed} {self.epoch}")
        self.epoch += 1
        count = _find_counter(nlp)
        for pair in shuffled(self.pairs(nlp), self.shuffle_buffer, rng):
            example = _make_example(nlp, pair) if pair.example is None else pair.example
            if count:
                set_symbol_counts(example.reference, count(example.reference, pair.target))
            yield example

    def pairs(self, nlp: Language) -> Iterator[Pair]:
        """The pairs that pass the filters.

        nlp (Language): For the Docs of a `.spacy` file.
        RAISES (TextFileError): If there is none, or a line is not a pair; names it.
        """
        dropped: Counter[str] = Counter()
        kept = 0
        is_spacy = str(self.path).endswith(".spacy")
        found = _read_docs(nlp, self.path) if is_spacy else read_pairs(self.path, self.target_path)
        for pair in found:
            reason = self._why_not(pair)
            if reason:
                dropped[reason] += 1
                continue
            kept += 1
            yield pair
            if kept == self.limit:
                break
        reasons = ", ".join(f"{n} {reason}" for reason, n in dropped.items())
        if not kept:
            why = f" (left out: {reasons})" if dropped else ""
            if Path(self.path).suffix == ".spacy":
                why += ". Translations are in a .spacy file if its DocBin has store_user_data=True"
            raise TextFileError(f"There is no pair of sentences in {self.path}{why}")
        if dropped and not self._has_reported:
            self._has_reported = True
            logger.warning("Pairs of %s left out: %s; %d kept", self.path, reasons, kept)

    def _why_not(self, pair: Pair) -> str | None:
        """Why a pair is left out, if it is."""
        one, two = len(pair.source.strip()), len(pair.target.strip())
        if not one or not two:
            return "with an empty side"
        if self.max_length and max(one, two) > self.max_length:
            return f"longer than {self.max_length} characters"
        if self.max_ratio and max(one, two) > self.max_ratio * min(one, two):
            return f"of which one side is {self.max_ratio:g} times as long as the other"
        return None


def _make_example(nlp: Language, pair: Pair) -> Example:
    try:
        reference = nlp.make_doc(pair.source)
    except UnicodeEncodeError as error:
        raise TextFileError(f"{pair.place} has half a surrogate pair: {error}") from error
    set_translation(reference, pair.target)
    if pair.meta is not None:
        reference.user_data["meta"] = pair.meta
    return Example(nlp.make_doc(pair.source), reference)


def _read_docs(nlp: Language, path: str | Path) -> Iterator[Pair]:
    for number, example in enumerate(Corpus(path)(nlp), 1):
        target = get_translation(example.reference) or ""
        yield Pair(example.reference.text, target, f"{path}, Doc {number}", example)


def _find_counter(nlp: Language) -> Callable[[Doc, str], tuple[int, int]] | None:
    """What counts symbols, for batches of similar length: characters tell little of the
    number of subwords. None before there are vocabularies."""
    for _, pipe in nlp.pipeline:
        if getattr(pipe, "can_count_symbols", False):
            return pipe.count_symbols  # type: ignore[attr-defined]
    return None


def read_pairs(path: str | Path, target_path: str | Path | None = None) -> Iterator[Pair]:
    """Pairs from a file of tab separated values, from JSONL, or from two files whose
    lines belong together; plain or gzip, UTF-8.

    path (str | Path): The pairs; or, with `target_path`, the sources.
    target_path (str | Path | None): The targets.
    RAISES (TextFileError): If a line is not a pair, or the files differ in length.
    """
    if target_path is not None:
        yield from _aligned(Path(path), Path(target_path))
        return
    for file in find_text_files(path, (".tsv", ".jsonl", ".txt")):
        name = file.name.removesuffix(".gz")
        parse = _parse_json if name.endswith(".jsonl") else _parse_columns
        for number, line in enumerate(read_lines(file), 1):
            if line.strip():
                yield parse(line, f"{file}, line {number}")


def _aligned(sources: Path, targets: Path) -> Iterator[Pair]:
    lines = zip_longest(read_lines(sources), read_lines(targets))
    for number, (source, target) in enumerate(lines, 1):
        if source is None or target is None:
            shorter = sources if source is None else targets
            raise TextFileError(
                f"{sources} and {targets} don't have the same number of lines: {shorter} ends "
                f"before line {number}"
            )
        yield Pair(source.strip(), target.strip(), f"{sources}, line {number}")


def _parse_columns(line: str, place: str) -> Pair:
    columns = line.split("\t")
    if len(columns) < 2:
        raise TextFileError(
            f"{place} has no tab, but a pair is 'source TAB translation': {line[:80]!r}. Two "
            "files whose lines belong together are given as path and target_path (on the command "
            "line with --target, for a training as paths.train_target)"
        )
    return Pair(columns[0].strip(), columns[1].strip(), place)  # what follows is attribution


def _parse_json(line: str, place: str) -> Pair:
    try:
        data = srsly.json_loads(line)
    except ValueError as error:
        raise TextFileError(f"{place} is not JSON: {error}") from error
    for key in ("text", "translation"):
        if not isinstance(data, dict) or not isinstance(data.get(key), str):
            raise TextFileError(f'{place} has no "{key}" that is a string: {line[:80]!r}')
    meta = data.get("meta")
    if meta is not None and not isinstance(meta, dict):
        raise TextFileError(f'{place} has a "meta" that is no table: {line[:80]!r}')
    return Pair(data["text"].strip(), data["translation"].strip(), place, meta=meta)


def create_parallel_reader(
    path: str | Path | None,
    target_path: str | Path | None = None,
    max_length: int = 0,
    max_ratio: float = 0.0,
    limit: int = 0,
    shuffle_buffer: int = 0,
    seed: int = 0,
) -> Callable[[Language], Iterable[Example]]:
    """Read sentence pairs. Registered as `spacy-seqgen.parallel.v1` (`@readers`).

    path (str | Path): A file of tab separated values (source, translation; further
        columns are ignored), JSONL ("text", "translation", "meta"), or a `.spacy` file;
        plain or gzip. With `target_path`: the sources, one on each line.
    target_path (str | Path | None): The translations, one on each line.
    max_length (int): Pairs with a longer side, in characters, are left out. 0 keeps all.
    max_ratio (float): Pairs of which one side is longer than the other by more than this
        factor are left out. 0 keeps all.
    limit (int): Read no more pairs than this. 0 reads all.
    shuffle_buffer (int): Pairs held to be mixed, for a corpus that is streamed
        (`max_epochs = -1`); 0 keeps their order.
    seed (int): Of the mixing.
    """
    if path is None:
        raise TextFileError(
            "The parallel reader has no path. Set it in the config or on the command line, for "
            "instance --paths.train FILE --paths.dev FILE"
        )
    install_extensions()  # the translation is one
    return Parallel(
        path,
        target_path or None,
        max_length=max_length,
        max_ratio=max_ratio,
        limit=limit,
        shuffle_buffer=shuffle_buffer,
        seed=seed,
    )
