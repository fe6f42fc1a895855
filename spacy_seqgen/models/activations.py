"""What a frozen encoder computes, kept from one epoch to the next."""

import tempfile
from typing import IO, Any

import numpy as np
from spacy.util import logger

KINDS = ("memory", "disk", "none")


class ActivationCache:
    """Arrays by key, up to a size. When it is full it keeps what it has: an epoch comes
    back to its first text after the last one, so that letting go of what was not used for
    the longest time would let go of what is needed next.

    kind (str): "memory" or "disk", a temporary file that is gone with the process.
    limit (float): In megabytes.
    """

    def __init__(self, kind: str, limit: float):
        self.kind = kind
        self.limit = int(limit * 1e6)
        self._file: IO[bytes] | None = None
        self.clear()

    def clear(self) -> None:
        self.close()
        self.size = 0
        self._found: dict[bytes, Any] = {}

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    __del__ = close

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: bytes) -> np.ndarray | None:
        found = self._found.get(key)
        if found is None or self._file is None:
            return found
        place, shape = found
        self._file.seek(place)
        data = self._file.read(4 * shape[0] * shape[1])
        return np.frombuffer(data, dtype=np.float32).reshape(shape)

    def put(self, key: bytes, value: np.ndarray) -> None:
        """Keep an array of two dimensions, float32, unless that would be too much."""
        size = value.nbytes + len(key)
        if key in self._found or self.size + size > self.limit:
            return
        if self.kind == "disk":
            try:
                self._found[key] = self._append(value), value.shape
            except OSError as error:
                logger.warning("No more outputs of frozen layers are kept on the disk: %s", error)
                self.limit = self.size
                return
        else:
            self._found[key] = value.copy()  # not a part of the batch it came from
        self.size += size

    def _append(self, value: np.ndarray) -> int:
        """Where in the file it begins."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)
        place = self._file.seek(0, 2)
        data = np.ascontiguousarray(value, dtype=np.float32).tobytes()
        if self._file.write(data) != len(data):
            raise OSError("it is full")
        return place

    def __getstate__(self) -> dict[str, Any]:
        # For other processes, which do not train.
        return {**self.__dict__, "size": 0, "_found": {}, "_file": None}


def make_cache(kind: str, limit: float) -> ActivationCache | None:
    """RAISES (ValueError): If there is no such kind."""
    if kind not in KINDS:
        raise ValueError(f"cache must be one of {KINDS}, got {kind!r}")
    if limit <= 0:
        raise ValueError(f"cache_size must be above 0, got {limit}")
    return None if kind == "none" else ActivationCache(kind, limit)
