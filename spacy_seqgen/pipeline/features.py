"""Pictures, or features of them, kept for the epochs to come."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Key = tuple[Any, ...]

_MOST = float(np.finfo(np.float16).max)


class FeatureCache:
    """Pixels, or what an image encoder that does not learn makes of them. The ones used longest
    ago make room for new ones.

    megabytes (int): Most that is kept. 0 keeps nothing.
    """

    def __init__(self, megabytes: int):
        if megabytes < 0:
            raise ValueError(f"feature_cache must be 0 or more, got {megabytes}")
        self.limit = megabytes * 1_000_000
        self.size = 0
        self._kept: OrderedDict[Key, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __getstate__(self) -> dict[str, Any]:
        """What is kept does not go with copies of the component."""
        return {**self.__dict__, "size": 0, "_kept": OrderedDict()}

    def get(
        self, keys: Sequence[Key | None], make: Callable[[list[int]], list[np.ndarray | None]]
    ) -> list[np.ndarray | None]:
        """
        keys (Sequence[Key | None]): Of the pictures; None for one that is not known again.
        make (Callable): Makes the pixels or features of those, by their numbers, that are not
            kept; None of a picture that can't be read.
        RETURNS (list[np.ndarray | None]): Those of each: pixels uint8, features float16.
        """
        found: list[np.ndarray | None] = []
        for key in keys:
            found.append(None if key is None else self._kept.get(key))
            if key is not None and found[-1] is not None:
                self._kept.move_to_end(key)
        missing = [number for number, item in enumerate(found) if item is None]
        if missing:
            for number, features in zip(missing, make(missing), strict=True):
                if features is not None:
                    if features.dtype != np.uint8:
                        features = features.clip(-_MOST, _MOST).astype(np.float16)
                    found[number] = features
                    self._keep(keys[number], found[number])
        return found

    def clear(self) -> None:
        self._kept.clear()
        self.size = 0

    def _keep(self, key: Key | None, features: Any) -> None:
        if key is None or key in self._kept or features.nbytes > self.limit:
            return
        self._kept[key] = features
        self.size += features.nbytes
        while self.size > self.limit:
            _, old = self._kept.popitem(last=False)
            self.size -= old.nbytes
