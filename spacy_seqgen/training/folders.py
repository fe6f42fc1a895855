"""Directories that are replaced as a whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

_NEW, _OLD = ".new", ".old"


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
