"""Files and directories that are replaced as a whole."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

_NEW, _OLD, _TEMPORARY = ".new", ".old", ".tmp"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file, and put it into the place of another in one step. It is made
    in a directory of its own, with all that `write` may need beside it: what a process leaves
    there that is killed meanwhile, the next one removes.

    RAISES (OSError): If it can't be written.
    """
    directory = _beside(path, _TEMPORARY)
    _remove(directory)
    directory.mkdir(parents=True)
    temporary = directory / path.name
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except SafetensorError as error:
        raise OSError(f"Can't write {path}: {error}") from error
    finally:
        with suppress(OSError):
            _remove(directory)
    with suppress(OSError):  # not every system lets one open a directory
        parent = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


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
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
