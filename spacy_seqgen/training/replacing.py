"""Files and directories that are replaced as a whole."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

_NEW, _OLD = ".new", ".old"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file, and put it into the place of another in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, SafetensorError):
            raise OSError(f"Can't write {path}: {error}") from error
        raise
    with suppress(OSError):  # not every system lets one open a directory
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def replace_directory(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a directory, and put it into the place of another. A process
    killed in between leaves the old one or the new one, or, for the moment between two
    renames, the old one under a name from which `recover_directory` brings it back.

    path (Path): The directory.
    write (Callable): Makes a directory at the path it is given.
    """
    new, old = _beside(path, _NEW), _beside(path, _OLD)
    _remove(new)
    try:
        write(new)
    except BaseException:
        _remove(new)
        raise
    _remove(old)
    if path.exists():
        path.rename(old)
    new.rename(path)
    _remove(old)


def recover_directory(path: Path) -> None:
    """Tidy up after a process that was killed in `replace_directory`."""
    new, old = _beside(path, _NEW), _beside(path, _OLD)
    if not path.exists() and old.exists():
        old.rename(path)
    _remove(old)
    _remove(new)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
