"""Word vectors that were trained elsewhere (GloVe, word2vec, fastText), for the embeddings
of a model. Of files of any size, only what is asked for is kept in memory."""

import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from spacy.vocab import Vocab
from thinc.util import to_numpy
from wasabi import msg

from .generation.options import OptionError
from .textfiles import TextFileError, read_lines

_BLOCK = 1 << 20
# The place in the file, for messages; a word; its values.
_Found = tuple[str, str, np.ndarray]


def find_vectors(
    source: str | Path, words: Sequence[str | None], width: int, vocab: Vocab
) -> tuple[np.ndarray, np.ndarray]:
    """Look words up: as they are, or else in lower case.

    source (str | Path): "vocab", or a file: see `read_vectors`.
    words (Sequence[str | None]): The words; None for what is none.
    width (int): How many values the vectors must have.
    vocab (Vocab): Whose vectors "vocab" means.
    RETURNS (tuple[np.ndarray, np.ndarray]): Which of the words have a vector, shape
        (found,), int64; and the vectors, shape (found, width), float32.
    RAISES (OptionError): If none has one, or they have another width.
    RAISES (TextFileError): If the file can't be read.
    """
    forms = {form for word in words if word is not None for form in (word, word.lower())}
    if source == "vocab":
        found = _vectors_of_vocab(vocab, forms, width)
    else:
        found = read_vectors(Path(source), forms, width)
    rows, vectors = [], []
    for row, word in enumerate(words):
        vector = None if word is None else found.get(word, found.get(word.lower()))
        if vector is not None:
            rows.append(row)
            vectors.append(vector)
    if not rows:
        shown = [word for word in words if word is not None][:5]
        raise OptionError(
            f"No symbol has a vector in {_name(source)}: not even the first ones, {shown}. Are the "
            "vectors of that language, and the symbols words (spacy-seqgen.Words.v1)?"
        )
    return np.array(rows, dtype=np.int64), np.stack(vectors)


def read_vectors(path: Path, words: Collection[str], width: int) -> dict[str, np.ndarray]:
    """The vectors of some words from a file.

    path (Path): Text, plain or .gz: a word and its values on each line, separated by
        spaces, with or without the numbers of words and values on the first. Or .npz with
        two arrays: `words`, strings of shape (n,), and `vectors`, shape (n, width).
    words (Collection[str]): The words. Of several vectors of a word, the first counts;
        one of zeros is none.
    width (int): How many values the vectors must have.
    RAISES (OptionError): If they have another width.
    RAISES (TextFileError): If the file can't be read, with the line that is at fault.
    """
    if not path.is_file():
        raise TextFileError(
            f'There is no file with vectors {path}. ("vocab" means those of [initialize] vectors.)'
        )
    found: dict[str, np.ndarray] = {}
    read = _read_npz if path.suffix == ".npz" else _read_text
    for place, word, precise in read(path, words, width):
        with np.errstate(over="ignore"):
            values = precise.astype(np.float32)
        if not np.isfinite(values).all():
            raise TextFileError(f"{path}, {place}: not all values of {word!r} are finite")
        if values.any():
            found.setdefault(word, values)
    return found


def _read_text(path: Path, words: Collection[str], width: int) -> Iterator[_Found]:
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise TextFileError(f"{path} is a zip archive: unpack it")
    number, announced = 0, 0
    for number, line in enumerate(read_lines(path), 1):
        line = line.rstrip(" ")  # which fastText writes
        spaces = line.count(" ")
        if number == 1 and spaces:
            first = line.split(" ")
            has_header = spaces == 1 and all(item.isdecimal() for item in first)
            check_width(path, int(first[1]) if has_header else spaces, width)
            if has_header:
                announced = int(first[0])
                continue
        if not line:
            continue
        # Most words are not asked for, and their values not looked at.
        word = line[: line.find(" ")] if spaces == width else line.rsplit(" ", width)[0]
        if spaces < width or (spaces > width and _is_number(word.rpartition(" ")[2])):
            raise TextFileError(
                f"{path}, line {number}: expected a word and {width} values separated by spaces, "
                f"found {line[:60]!r}"
            )
        if word in words:
            try:
                values = np.array(line[len(word) + 1 :].split(" "), dtype=np.float64)
            except ValueError as error:
                raise TextFileError(f"{path}, line {number}: {error}") from error
            yield f"line {number}", word, values
    if announced and number <= announced:
        msg.warn(f"{path} should hold {announced} vectors, but ends after {max(0, number - 1)}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npz(path: Path, words: Collection[str], width: int) -> Iterator[_Found]:
    """Block by block, and without NumPy's `load`, which takes a whole array."""
    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open("words.npy") as names,
            archive.open("vectors.npy") as vectors,
        ):
            name_shape, name_type = _read_header(names)
            shape, kind = _read_header(vectors)
            if name_type.kind != "U" or name_type.itemsize > _BLOCK or kind.kind != "f":
                raise ValueError(f"'words' is of type {name_type}, not str, or 'vectors' of type "
                                 f"{kind}, not float; arrays of objects are not read")  # fmt: skip
            if len(shape) != 2 or name_shape != shape[:1]:
                raise ValueError(f"'words' has shape {name_shape}, 'vectors' has shape {shape}")
            check_width(path, shape[1], width)
            size = max(1, _BLOCK // max(name_type.itemsize, 1, width * kind.itemsize))
            for start in range(0, shape[0], size):
                rows = min(size, shape[0] - start)
                block = _read_block(vectors, rows * width, kind).reshape(rows, width)
                for row, word in enumerate(_read_block(names, rows, name_type).tolist()):
                    if word in words:
                        yield f"row {start + row}", word, block[row]
    except OptionError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, zlib.error,
            NotImplementedError) as error:  # fmt: skip
        raise TextFileError(
            f"{path} is not an .npz file with the arrays 'words' (str) and 'vectors': {error}"
        ) from error


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    one, two = npy.read_array_header_1_0, npy.read_array_header_2_0
    shape, by_columns, kind = (one if npy.read_magic(file) == (1, 0) else two)(file)
    if by_columns and len(shape) > 1:
        raise ValueError("the array is stored by columns: save numpy.ascontiguousarray(...)")
    return shape, kind


def _read_block(file: IO[bytes], items: int, kind: np.dtype) -> np.ndarray:
    data = file.read(items * kind.itemsize)
    if len(data) < items * kind.itemsize:
        raise ValueError("the file ends too early")
    return np.frombuffer(data, kind)


def _vectors_of_vocab(vocab: Vocab, words: Collection[str], width: int) -> dict[str, np.ndarray]:
    table: Any = vocab.vectors
    if not table.data.size:
        raise OptionError(
            'There are no vectors in nlp.vocab, which "vocab" means: set [initialize] vectors to a '
            "pipeline that has some (spacy init vectors makes one), or name a file instead"
        )
    check_width("vocab", table.shape[1], width)
    names = sorted(words)
    if table.mode == "floret":  # has a vector for every word
        values = table.get_batch(names)
    else:
        rows = table.find(keys=names)
        names = [name for name, row in zip(names, rows, strict=True) if row >= 0]
        values = table.data[rows[rows >= 0]]
    pairs = zip(names, to_numpy(values).astype(np.float32), strict=True)
    return {name: vector for name, vector in pairs if vector.any()}


def check_width(source: str | Path, found: int, expected: int) -> None:
    """RAISES (OptionError): If vectors do not fit the embeddings."""
    if found != expected:
        raise OptionError(
            f"The vectors in {_name(source)} have {found} values each, the embeddings of the model "
            f"{expected}. Set embedding_size (of a transformer: width) to {found}, or take vectors "
            f"of {expected} values."
        )


def _name(source: str | Path) -> str:
    return "nlp.vocab" if source == "vocab" else str(source)
