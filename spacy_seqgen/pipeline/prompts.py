"""Reading texts with a language model, before it goes on writing."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from thinc.api import Model

from ..generation.sampling import select_rows
from ..models.shim import get_shim
from ..vocabularies import BOS
from .batches import in_time_chunks, pad_texts

_MAX_LOGITS = 2**22  # computed at once: 16 MB, whatever the length of the texts
_MAX_COLUMNS = 1024


class Prompts:
    """Texts that a language model has read.

    nats (list[np.ndarray]): For each text, shape (symbols,): the negative log-likelihood
        of each symbol.
    correct (list[np.ndarray]): For each text, shape (symbols,), bool.
    """

    def __init__(self, model: Model, texts: Sequence[np.ndarray]):
        self.model = model
        self.texts = texts
        self.state, self.nats, self.correct = self._read(texts)

    def start(self, prepare: Callable, rows: Sequence[int]) -> tuple[Any, np.ndarray]:
        """For a search: where some of the texts end."""
        last = np.array([self._last(self.texts[row]) for row in rows])
        if len(rows) == len(self.texts):
            return prepare(self.state), last
        # A text by itself is read again by itself: its state must not depend on others.
        return prepare(self._read([self.texts[row] for row in rows])[0]), last

    @staticmethod
    def _last(ids: np.ndarray) -> int:
        return int(ids[-1]) if len(ids) else BOS

    def _read(self, texts: Sequence[np.ndarray]) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
        shim = get_shim(self.model)
        lengths = np.array([len(ids) for ids in texts], dtype=np.int64)
        ids = np.concatenate([*texts, np.empty(0, np.int64)])
        batch = pad_texts(ids, lengths, [BOS] * len(texts), [False] * len(texts))
        nats = np.zeros(batch.targets.shape, dtype=np.float32)
        correct = np.zeros(batch.targets.shape, dtype=bool)
        with shim.inference() as net:
            state = net.start(len(texts))
            size = _MAX_LOGITS // (len(texts) * self.model.get_dim("nO"))
            first = 0
            for rows, piece in in_time_chunks(batch, min(max(size, 16), _MAX_COLUMNS)):
                piece.state = select_rows(state, rows)
                reading = self.model.predict(piece)
                columns = slice(first, first + piece.targets.shape[1])
                nats[rows, columns] = reading.nll.cpu().numpy()
                correct[rows, columns] = reading.correct.cpu().numpy()
                state = put_rows(state, rows, reading.state)
                first = columns.stop
        return (
            state,
            [row[:n] for row, n in zip(nats, lengths, strict=True)],
            [row[:n] for row, n in zip(correct, lengths, strict=True)],
        )


def put_rows(
    state: tuple[torch.Tensor, ...], rows: np.ndarray, values: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    """A copy of a state with some rows replaced."""
    index = torch.from_numpy(rows)
    return tuple(
        old.index_copy(0, index.to(old.device), new) for old, new in zip(state, values, strict=True)
    )
