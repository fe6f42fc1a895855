"""Reading texts and their labels (`@readers`)."""

import contextlib
import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import srsly
from spacy.language import Language
from spacy.pipeline import TextCategorizer
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import logger
from spacy.vocab import Vocab

from .textfiles import TextFileError, find_text_files, read_blocks, read_lines

FORMATS = ("auto", "tsv", "csv", "jsonl", "label_text", "folders", "spacy")


_MANY = 10  # labels, of which only as many texts are strange
_MAX_FIELD = 10_000_000  # characters of a field of CSV


class Labelled(NamedTuple):
    """A text, its labels, and where it stands."""

    text: str
    cats: dict[str, float]
    place: str


@dataclass
class Census:
    """What there is in a corpus.

    texts (int): Texts that are not empty.
    empty (int): Empty ones, which are left out.
    labels (Counter): How many texts have each label, in the order in which they appear.
    repeated (int): Texts that are in the corpus a second time.
    shared (int): Texts that are in the other corpus too.
    """

    texts: int = 0
    empty: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    shared: int = 0


class TextClassification:
    """A corpus of labelled texts. All labels of the corpus are in `reference.cats`: what a
    text does not have is 0."""

    def __init__(
        self,
        path: str | Path,
        format: str,
        labels: list[str] | None,
        compare_with: str | Path | None,
        limit: int,
    ):
        if format not in FORMATS:
            raise ValueError(f"format must be one of {FORMATS}, got {format!r}")
        if limit < 0:
            raise ValueError(f"limit must be 0 or more, got {limit}")
        self.path = path
        self.format = format
        self.labels = labels
        self.compare_with = compare_with
        self.limit = limit
        self.census: Census | None = None

    def __call__(self, nlp: Language) -> Iterator[Example]:
        is_new = self.census is None
        census = self.census or self.count()
        known = self.labels or list(census.labels)
        if is_new:
            self._compare_labels(nlp, known)
        for item in self._kept():
            unknown = item.cats.keys() - set(known)
            if unknown:
                raise TextFileError(f"{item.place} has a label that is not in labels: {unknown}")
            try:
                reference = nlp.make_doc(item.text)
            except UnicodeEncodeError as error:
                raise TextFileError(f"{item.place} has half a surrogate pair: {error}") from error
            reference.cats = {label: item.cats.get(label, 0.0) for label in known}
            yield Example(nlp.make_doc(item.text), reference)

    def _compare_labels(self, nlp: Language, found: list[str]) -> None:
        """Warn of labels that a classifier of the pipeline, trained or in training, can't give."""
        for name, pipe in nlp.pipeline:
            known = getattr(pipe, "labels", ())
            unknown = [label for label in found if label not in known]
            if isinstance(pipe, TextCategorizer) and known and unknown:
                logger.warning(
                    "Labels of %s that '%s' does not know, so that they don't count: %s. It has %s",
                    self.path, name, unknown, list(known),
                )  # fmt: skip

    def count(self) -> Census:
        """Go through the corpus once, and warn of what is not as it should be.

        RAISES (TextFileError): If there is no text, or a line is not as it must be.
        """
        census, seen = Census(), set()
        other = self._digests_of_other()
        for item in self._kept(census):
            census.texts += 1
            digest = _digest(item.text)
            census.repeated += digest in seen
            census.shared += digest in other
            seen.add(digest)
            census.labels.update({key: int(value > 0) for key, value in item.cats.items()})
        if not census.texts:
            raise TextFileError(f"There is no text in {self.path} ({census.empty} empty ones)")
        if self.census is None:
            self._warn(census)
        self.census = census
        return census

    def _warn(self, census: Census) -> None:
        shares = ", ".join(f"{label} {n}" for label, n in census.labels.items())
        logger.info("Texts of %s: %d (%s)", self.path, census.texts, shares)
        if len(census.labels) > max(_MANY, census.texts / 2):
            logger.warning(
                "%s has nearly as many labels (%d) as texts (%d): are text and label in the right "
                "places, and the format right (%s)?",
                self.path, len(census.labels), census.texts, self.format,
            )  # fmt: skip
        if census.empty:
            logger.warning("Empty texts of %s left out: %d", self.path, census.empty)
        if census.repeated:
            logger.warning("Texts of %s that come again: %d", self.path, census.repeated)
        if census.shared:
            logger.warning(
                "Texts of %s that are in %s too: %d", self.path, self.compare_with, census.shared
            )

    def _kept(self, census: Census | None = None) -> Iterator[Labelled]:
        kept = 0
        for item in read_labelled(self.path, self.format):
            if not item.text.strip():
                if census:
                    census.empty += 1
                continue
            yield item
            kept += 1
            if kept == self.limit:
                return

    def _digests_of_other(self) -> set[bytes]:
        if self.compare_with is None:
            return set()
        return {_digest(item.text) for item in read_labelled(self.compare_with, self.format)}


def _digest(text: str) -> bytes:
    data = " ".join(text.split()).encode("utf8", "surrogatepass")
    return blake2b(data, digest_size=8).digest()


def read_labelled(path: str | Path, format: str = "auto") -> Iterator[Labelled]:
    """Labelled texts from a file, plain or .gz, UTF-8, or from a folder.

    path (str | Path): The file; or a folder with a folder of .txt files for each class.
    format (str): See `create_text_classification_reader`.
    RAISES (TextFileError): If a line is not as it must be; names it.
    """
    place = Path(path)
    if format == "auto":
        name = place.name.removesuffix(".gz")
        format = "folders" if place.is_dir() else name.rpartition(".")[2]
        if format not in FORMATS:
            raise TextFileError(
                f"The ending of {place} does not tell its format: set format to one of "
                f"{FORMATS[1:]}"
            )
    if format == "folders":
        yield from _read_folders(place)
        return
    if format == "spacy":
        yield from _read_docs(place)
        return
    for file in find_text_files(place):
        yield from _READERS[format](file)


def _read_folders(place: Path) -> Iterator[Labelled]:
    folders = sorted(item for item in place.iterdir() if item.is_dir()) if place.is_dir() else []
    if not folders:
        raise TextFileError(f"{place} is no folder with a folder for each class")
    # One text of each class after the other: the first hundred are of all classes then.
    files = [[(folder.name, file) for file in find_text_files(folder)] for folder in folders]
    for label, file in filter(None, chain.from_iterable(zip_longest(*files))):
        yield Labelled("".join(read_blocks(file)).strip(), {label: 1.0}, str(file))


def _read_docs(place: Path) -> Iterator[Labelled]:
    docs = DocBin().from_disk(place).get_docs(Vocab())
    for number, doc in enumerate(docs, 1):
        yield Labelled(doc.text, dict(doc.cats), f"{place}, Doc {number}")


def _read_tsv(file: Path) -> Iterator[Labelled]:
    for number, line in enumerate(read_lines(file), 1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        text, tab, label = line.rpartition("\t")
        if not tab or not label.strip():
            raise TextFileError(f"{place} is not 'text TAB label': {line[:80]!r}")
        yield Labelled(text.strip(), {label.strip(): 1.0}, place)


def _read_label_text(file: Path) -> Iterator[Labelled]:
    for number, line in enumerate(read_lines(file), 1):
        if line.strip():
            label, _, text = line.strip().partition(" ")
            yield Labelled(text.strip(), {label: 1.0}, f"{file}, line {number}")


def _read_csv(file: Path) -> Iterator[Labelled]:
    rows = csv.DictReader(f"{line}\n" for line in read_lines(file))
    with _csv_errors(rows, file):
        fields = rows.fieldnames or []
    if "text" not in fields or "label" not in fields:
        raise TextFileError(f'{file} needs a first line with "text" and "label", got {fields}')
    while True:
        with _csv_errors(rows, file):
            row = next(rows, None)
        if row is None:
            return
        place = f"{file}, line {rows.line_num}"
        if row["text"] is None or not (row["label"] or "").strip():
            raise TextFileError(f"{place} has no text or no label")
        yield Labelled(row["text"].strip(), {row["label"].strip(): 1.0}, place)


@contextlib.contextmanager
def _csv_errors(rows: csv.DictReader, file: Path) -> Iterator[None]:
    """Longer fields than the csv module lets pass, whose limit is that of the whole process,
    and errors that name their place."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, _MAX_FIELD))
    try:
        yield
    except csv.Error as error:
        raise TextFileError(
            f"{file}, line {rows.reader.line_num} is not CSV: {error}. Fields have up to "
            f"{_MAX_FIELD} characters; where one is longer, a closing quote may be missing"
        ) from error
    finally:
        csv.field_size_limit(before)


def _read_jsonl(file: Path) -> Iterator[Labelled]:
    for number, line in enumerate(read_lines(file), 1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            data = srsly.json_loads(line)
        except ValueError as error:
            raise TextFileError(f"{place} is not JSON: {error}") from error
        if not isinstance(data, dict) or not isinstance(data.get("text"), str):
            raise TextFileError(f'{place} has no "text": {line[:80]!r}')
        yield Labelled(data["text"].strip(), _cats(data, place), place)


def _cats(data: dict[str, Any], place: str) -> dict[str, float]:
    """The labels: "label" is one, "labels" are several, "cats" are with their values."""
    label, labels, cats = data.get("label"), data.get("labels"), data.get("cats")
    if isinstance(label, str | int) and not isinstance(label, bool):
        return {str(label): 1.0}
    if isinstance(labels, list) and all(isinstance(item, str) for item in labels):
        return dict.fromkeys(labels, 1.0)
    if isinstance(cats, dict) and all(isinstance(v, int | float) for v in cats.values()):
        if all(0 <= value <= 1 for value in cats.values()):
            return {str(key): float(value) for key, value in cats.items()}
    raise TextFileError(
        f'{place} needs "label" (a string), "labels" (a list of them) or "cats" (values from 0 '
        "to 1)"
    )


_READERS = {
    "tsv": _read_tsv,
    "csv": _read_csv,
    "jsonl": _read_jsonl,
    "label_text": _read_label_text,
}


def create_text_classification_reader(
    path: str | Path | None,
    format: str = "auto",
    labels: list[str] | None = None,
    compare_with: str | Path | None = None,
    limit: int = 0,
) -> TextClassification:
    """Read labelled texts. Registered as `spacy-seqgen.text_classification.v1` (`@readers`).

    path (str | Path): A file, plain or gzip, or a folder.
    format (str): "tsv" (text, tab, label), "csv" (with columns "text" and "label"), "jsonl"
        ("text", and "label", "labels" or "cats"), "label_text" (a label, a space, the
        text), "folders" (one for each class, with .txt files), "spacy" (Docs with cats), or
        "auto": what the ending of the path says.
    labels (list[str] | None): All labels; None for those that are in the file. Where
        classes are not exclusive, a label that is not in the file would be missing
        rather than absent.
    compare_with (str | Path | None): Another corpus, such as that of the training: how
        many texts are in both is shown as a warning.
    limit (int): Read no more texts than this. 0 reads all.
    """
    if path is None:
        raise TextFileError(
            "The text classification reader has no path. Set it in the config or on the command "
            "line, for instance --paths.train FILE --paths.dev FILE"
        )
    return TextClassification(path, format, labels, compare_with or None, limit)
