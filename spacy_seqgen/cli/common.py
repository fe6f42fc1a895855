"""What several commands need."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

import srsly
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.util import load_model
from wasabi import Printer

from ..image_captions import create_image_captions_reader
from ..labelled import create_text_classification_reader
from ..parallel import create_parallel_reader
from ..readers import create_plain_text_reader
from ..textfiles import read_lines

CLASSIFIERS = ("textcat", "textcat_multilabel")


def fail(title: str, text: str = "") -> NoReturn:
    """End with a message, on standard error: the results may go to standard output."""
    print(Printer(no_print=True).fail(title, text), file=sys.stderr)
    sys.exit(1)


def load_pipeline(model: str) -> Language:
    """Load a pipeline, or end with a message that says why not."""
    try:
        return load_model(model)
    except (OSError, ValueError) as error:
        inside = Path(model) / "model-best"
        hint = f"Did you mean {inside}?" if inside.is_dir() else str(error)
        fail(f"Can't load the pipeline '{model}'", hint)


def find_component(nlp: Language, factory: str, name: str | None) -> tuple[str, Any]:
    """The component of a kind, by name or as the only one there is."""
    names = [n for n in nlp.component_names if nlp.get_pipe_meta(n).factory == factory]
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        asked = f" named '{name}'" if name else ""
        there = f"Those of that kind: {names}. Choose with --component" if names else (
            f"Its components: {nlp.component_names}"
        )  # fmt: skip
        fail(f"The pipeline has no single component '{factory}'{asked}", there)
    return name, nlp.get_pipe(name)


def find_classifier(nlp: Language, name: str | None) -> tuple[str, Any, bool]:
    """The text categorizer, by name or as the only one, and whether its classes exclude
    each other."""
    kinds = {n: nlp.get_pipe_meta(n).factory for n in nlp.component_names}
    names = [n for n, factory in kinds.items() if factory in CLASSIFIERS]
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        fail(
            "The pipeline has no single text categorizer" + (f" named '{name}'" if name else ""),
            f"Those there are: {names}. Choose with --component",
        )
    return name, nlp.get_pipe(name), kinds[name] == "textcat"


def read_labelled_examples(nlp: Language, path: Path, format: str = "auto") -> Iterator[Example]:
    """Labelled texts, also from a .spacy file."""
    if path.suffix == ".spacy":
        yield from Corpus(path)(nlp)
    else:
        yield from create_text_classification_reader(path, format)(nlp)


def read_docs(
    nlp: Language, path: Path, start: float | int = 0, stop: float | int | None = None
) -> Iterator[Doc]:
    """The Docs of a `.spacy` file, the texts of a `.jsonl` file, or running text in pieces
    of up to 100,000 characters."""
    _check_range(path, start, stop)
    if is_jsonl(path):
        for number, text in read_jsonl_texts(path):
            yield make_doc(nlp, text, f"{path}, line {number}")
    else:
        for example in read_examples(nlp, path, start, stop):
            yield example.predicted


def read_examples(
    nlp: Language,
    path: Path,
    start: float | int = 0,
    stop: float | int | None = None,
    target: Path | None = None,
    format: str = "auto",
) -> Iterator[Example]:
    """As `read_docs`, for evaluation; and sentence pairs, if the pipeline translates,
    pictures, if it captions them, or labelled texts, if it classifies them.

    format (str): Of labelled texts.
    """
    if path.suffix != ".spacy" and _has(nlp, "image_captioner"):
        if target or start != 0 or stop not in (None, 1.0):
            raise ValueError(
                f"--target, --start and --stop are for text, and {path} holds captions of pictures"
            )
        yield from create_image_captions_reader(path)(nlp)
        return
    _check_range(path, start, stop)
    if path.suffix == ".spacy" and target:
        raise ValueError(f"--target {target} is for lines of text, and {path} holds both sides")
    if path.suffix != ".spacy" and (target or _has(nlp, "translator")):
        if start != 0 or stop not in (None, 1.0):
            raise ValueError(f"--start and --stop are for running text, and {path} holds pairs")
        yield from create_parallel_reader(path, target)(nlp)
    elif path.suffix != ".spacy" and _has(nlp, *CLASSIFIERS):
        if start != 0 or stop not in (None, 1.0):
            raise ValueError(f"--start and --stop are for running text, and {path} has labels")
        yield from read_labelled_examples(nlp, path, format)
    elif is_jsonl(path):
        for doc in read_docs(nlp, path):
            yield Example(nlp.make_doc(doc.text), doc)
    elif path.suffix == ".spacy":
        yield from Corpus(path)(nlp)
    else:
        reader = create_plain_text_reader(
            str(path), window=0, start=start, stop=stop, tokenize=True
        )
        yield from reader(nlp)


def _has(nlp: Language, *factories: str) -> bool:
    return any(nlp.get_pipe_meta(name).factory in factories for name in nlp.pipe_names)


def is_jsonl(path: Path) -> bool:
    return path.name.endswith((".jsonl", ".jsonl.gz"))


def _check_range(path: Path, start: float | int, stop: float | int | None) -> None:
    if (is_jsonl(path) or path.suffix == ".spacy") and (start != 0 or stop not in (None, 1.0)):
        raise ValueError(
            f"--start and --stop choose a part of running text; {path} holds texts of their own"
        )


def read_jsonl_texts(path: Path) -> Iterator[tuple[int, str]]:
    """The field "text" of each line, with the number of the line."""
    return ((number, data["text"]) for number, data in read_jsonl_rows(path))


def read_jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line, which has a field "text", with its number.

    RAISES (ValueError): If a line has none; names it.
    """
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            data = srsly.json_loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number} is not JSON: {error}") from error
        if not isinstance(data, dict) or not isinstance(data.get("text"), str):
            raise ValueError(f'{path}, line {number} has no "text": {line[:80]!r}')
        yield number, data


def read_texts(path: Path) -> Iterator[str]:
    """The texts of a file: its lines, or "text" in each of them for JSONL; - is standard
    input."""
    if str(path) == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")  # `make_doc` says where
        yield from _strip_lines(sys.stdin)
    elif path.exists() and not path.is_file() and not path.is_dir():  # a pipe
        with path.open(encoding="utf8", errors="surrogateescape") as lines:
            yield from _strip_lines(lines)
    elif path.suffix == ".spacy":
        raise ValueError(f"{path} holds Docs, not texts: take `spacy apply`, which reads them")
    elif is_jsonl(path):
        yield from (text for _, text in read_jsonl_texts(path))
    else:
        yield from read_lines(path)


def _strip_lines(lines: IO[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield (line if number else line.removeprefix("\ufeff")).rstrip("\n")


def make_doc(nlp: Language, text: str, where: str) -> Doc:
    """
    RAISES (ValueError): If the text is not valid Unicode; names where it comes from.
    """
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        if 0xDC80 <= code <= 0xDCFF:  # how Python reads bytes that it can't decode
            raise ValueError(
                f"{where}: the text is not valid UTF-8: byte 0x{code - 0xDC00:02x} behind "
                f"{error.start} characters. Convert it, perhaps with iconv -f cp1252 -t utf8"
            ) from error
        raise ValueError(
            f"{where}: the text holds half a surrogate pair at character {error.start}, which is "
            "not valid Unicode. Remove it, or write U+FFFD instead."
        ) from error
    # The limit is for components whose memory grows with the text; these read in pieces.
    nlp.max_length = max(nlp.max_length, len(text))
    return nlp.make_doc(text)


def count(number: int, noun: str) -> str:
    """ "1 text", "2 texts"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def run_component(
    nlp: Any, name: str, docs: Iterable[Doc], batch_size: int, noun: str, complaint: str
) -> Iterator[Doc]:
    """Docs as a component leaves them. The components before it run, too: one of them may
    find what it needs. Docs that fail are warned of and left out.

    name (str): The component, which is enabled if it is not.
    noun (str), complaint (str): What a Doc is, and what is said in the end of those that failed.
    RAISES (ValueError): When all others are done, if some failed. If no more Docs can be read,
        when those before are done.
    """
    failed, unreadable = 0, None

    def warn(name: str, pipe: Any, docs: Sequence[Doc], error: Exception) -> None:
        nonlocal failed
        failed += len(docs)
        for doc in docs:
            shown = f"Warning: '{name}' can't process {doc.text[:60]!r}: {error}"
            print(shown, file=sys.stderr)  # the results may go to standard output

    def readable() -> Iterator[Doc]:
        nonlocal unreadable
        try:
            yield from docs
        except (ValueError, OSError) as error:
            unreadable = error

    if name in nlp.disabled:
        nlp.enable_pipe(name)
    nlp.get_pipe(name).check_initialized()
    place = nlp.pipe_names.index(name)
    with nlp.select_pipes(enable=nlp.pipe_names[: place + 1]):
        nlp.set_error_handler(warn)
        yield from nlp.pipe(readable(), batch_size=batch_size)
    if unreadable:
        raise unreadable
    if failed:
        raise ValueError(f"{count(failed, noun)} {complaint}; see the warnings above")


@contextmanager
def open_output(path: Path, *inputs: Path | None) -> Iterator[IO[str]]:
    """A file to write to, whose directory is made.

    inputs (Path | None): What is read meanwhile.
    RAISES (ValueError): If it can't be written, or is one of the inputs; says why.
    """
    if str(path) == "-":
        raise ValueError("--output needs the name of a file, not -")
    if any(path.exists() and item and item.exists() and path.samefile(item) for item in inputs):
        raise ValueError(
            f"{path} is what is read, and would be overwritten: choose another --output"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf8") as file:
            yield file
    except OSError as error:
        if error.filename not in (None, str(path), str(path.parent)):
            raise  # of a file that was read meanwhile
        raise ValueError(f"Can't write {path}: {error.strerror or error}") from error
