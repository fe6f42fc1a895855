"""Reading text files that come from anywhere: found by path, directory or glob, plain or
gzip, of any size, in bounded memory, with errors that say where the fault is."""

import codecs
import glob
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK = 1 << 20


class TextFileError(ValueError):
    """A text that can't be read. The message says where, and what to do."""


def find_text_files(
    path: str | Path | Iterable[str | Path], suffixes: tuple[str, ...] = (".txt", ".text", ".md")
) -> list[Path]:
    """The files that a path stands for, in a fixed order.

    path (str | Path | Iterable): A file; a directory, searched for text files at any
        depth; a glob pattern; or several of these.
    suffixes (tuple[str, ...]): What to take from a directory; also with ".gz" behind.
    RAISES (TextFileError): If there is none.
    """
    if not isinstance(path, str | Path):
        return [found for item in path for found in find_text_files(item, suffixes)]
    place = Path(path)
    if place.is_file():
        return [place]
    if place.is_dir():
        known = (*suffixes, *(f"{suffix}.gz" for suffix in suffixes))
        found = sorted(p for p in place.rglob("*") if p.is_file() and p.name.endswith(known))
        if not found:
            raise TextFileError(f"There is no text file ({', '.join(known)}) in {place}")
        return found
    found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
    if not found:
        raise TextFileError(f"There is no file {path!s}, nor any that this matches as a pattern")
    return found


def read_blocks(path: Path) -> Iterator[str]:
    """The text of a file, in pieces of about a million characters. As in Python's text
    mode, every end of a line becomes "\\n"; a byte order mark is dropped.

    path (Path): The file, UTF-8; decompressed if its name ends in ".gz".
    RAISES (TextFileError): If it is not UTF-8, with the offset and the line of the byte in
        question, or not gzip.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    offset, line = 0, 1
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
        while True:
            try:
                data = file.read(_BLOCK)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise TextFileError(f"{path} is not a complete gzip file: {error}") from error
            pending = len(decoder.getstate()[0])
            fault = None
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                if offset == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise TextFileError(
                        f"{path} is UTF-16, not UTF-8. Convert it with iconv -f utf-16 -t utf8"
                    ) from error
                bad, before = error.object[error.start], error.object[: error.start]
                text = before.decode("utf8")  # what is right comes first
                place = f"offset {offset - pending + error.start}"
                place += " of the decompressed text" if path.suffix == ".gz" else ""
                fault = TextFileError(
                    f"{path} is not valid UTF-8: byte 0x{bad:02x} at {place}, line "
                    f"{line + before.count(10)} ({error.reason}). Convert it; if it comes from "
                    "Windows, perhaps with iconv -f cp1252 -t utf8"
                )
            if offset == 0:
                text = text.removeprefix("\ufeff")
            offset += len(data)
            line += data.count(b"\n")
            text = newlines.decode(text, final=not data)
            if text:
                yield text
            if fault:
                raise fault
            if not data:
                return


def read_lines(path: str | Path) -> Iterator[str]:
    """The lines of a file, or of several, one after the other."""
    for file in find_text_files(path):
        rest = ""
        for block in read_blocks(file):
            *lines, rest = (rest + block).split("\n")
            yield from lines
        if rest:
            yield rest


def count_length(path: Path) -> int:
    """The number of characters of a file."""
    return sum(len(block) for block in read_blocks(path))


def read_range(path: Path, start: int, stop: int | None) -> Iterator[str]:
    """The characters of a file from `start` to before `stop`, in pieces."""
    position = 0
    for block in read_blocks(path):
        end = position + len(block)
        if end > start:
            first = max(0, start - position)
            last = len(block) if stop is None else min(len(block), stop - position)
            if last > first:
                yield block[first:last]
        position = end
        if stop is not None and position >= stop:
            return
