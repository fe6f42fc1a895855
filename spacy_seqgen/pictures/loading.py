"""Reading pictures in threads, ahead of the model."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from .errors import PictureError
from .preparing import PictureSettings
from .sources import Picture

T = TypeVar("T")
Loaded = np.ndarray | PictureError  # shape (3, size, size), uint8; or what is wrong
FindFunction = Callable[[T], Picture]


def read_ahead(
    batches: Iterable[Sequence[T]],
    find: FindFunction,
    settings: PictureSettings,
    seeds: Callable[[], str] | None = None,
) -> Iterator[tuple[Sequence[T], list[Loaded]]]:
    """Read the pictures of batches. While one batch is used, the next one is read: never
    more, so that memory stays as it is.

    batches (Iterable[Sequence[T]]): Of anything that has pictures.
    find (FindFunction): Says which.
    settings (PictureSettings): How to read them, and in how many threads.
    seeds (Callable | None): For training: makes what variations depend on.
    YIELDS (tuple): A batch, and its pictures.
    """

    def load(item: T, seed: str | None) -> Loaded:
        try:
            return settings.load(find(item), seed)
        except PictureError as error:
            return error

    waiting: deque[tuple[Sequence[T], list[Future[Loaded]]]] = deque()
    with ThreadPoolExecutor(settings.workers, thread_name_prefix="pictures") as pool:
        try:
            for batch in batches:
                futures = [pool.submit(load, item, seeds and seeds()) for item in batch]
                waiting.append((batch, futures))
                if len(waiting) > 1:
                    done, pictures = waiting.popleft()
                    yield done, [future.result() for future in pictures]
            while waiting:
                done, pictures = waiting.popleft()
                yield done, [future.result() for future in pictures]
        finally:
            for _, futures in waiting:  # nobody wants them any more
                for future in futures:
                    future.cancel()
