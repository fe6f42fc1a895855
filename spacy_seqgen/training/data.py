"""Telling whether a training is resumed on the data that it was begun with."""

import functools
import hashlib
from pathlib import Path

from thinc.api import Config

_CHUNK = 2**20


def describe_data(config: Config) -> dict[str, str]:
    """A digest of each file named in `[paths]`; of a directory, of the names and sizes of
    the files in it. What does not exist is left out.

    config (Config): The config.
    RETURNS (dict[str, str]): Name of the path to digest.
    """
    found = {}
    for name, value in config.get("paths", {}).items():
        path = Path(value) if isinstance(value, str) and not value.startswith("${") else None
        if path is not None and path.is_file():
            status = path.stat()
            found[name] = _digest(path, status.st_size, status.st_mtime_ns)
        elif path is not None and path.is_dir():
            files = sorted(item for item in path.rglob("*") if item.is_file())
            listed = "\n".join(f"{item.relative_to(path)} {item.stat().st_size}" for item in files)
            found[name] = hashlib.blake2b(listed.encode("utf8", "surrogateescape")).hexdigest()
    return found


@functools.lru_cache(maxsize=64)
def _digest(path: Path, size: int, modified: int) -> str:
    """Read once for each version of the file, however often a checkpoint is written."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
