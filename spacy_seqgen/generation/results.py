"""What a search returns, and what it remembers while it runs."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Logits = Tensor | np.ndarray

BLOCK = 64  # steps whose logits are kept before they are normalised together,
_MAX_LOGITS = 2**22  # unless that were more than 16 MB


@dataclass
class Hypothesis:
    """One generated sequence.

    ids (np.ndarray): Shape (symbols,), int64, without the end symbol.
    log_probs (np.ndarray): Shape (symbols,) or, with the end symbol, (symbols + 1,).
        Natural logarithms of the model's own probabilities, before any transform.
    finish_reason (str): "end", "stop" or "length".
    certain (bool): Whether it would be the same with other rounding errors. If not, it may
        depend on what else was in the batch (see `search`).
    score (float): What a beam ranks by; the sum of `log_probs` for a sample.
    """

    ids: np.ndarray
    log_probs: np.ndarray
    finish_reason: str
    certain: bool = True
    score: float = 0.0

    @property
    def log_prob(self) -> float:
        return float(self.log_probs.sum(dtype=np.float64))


class Trace:
    """The symbols generated so far and their log-probabilities, for rows that go in
    step. Logits are normalised a block at a time: it costs a fraction of doing so at
    every step, and nobody needs them sooner.
    """

    def __init__(self, rows: int, vocabulary: int):
        self.steps = 0
        self._ids = np.zeros((rows, BLOCK), dtype=np.int64)
        self._log_probs = np.zeros((rows, BLOCK), dtype=np.float32)
        self._block = min(BLOCK, max(1, _MAX_LOGITS // max(1, rows * vocabulary)))
        self._logits = np.zeros((self._block, rows, vocabulary), dtype=np.float32)
        self._normalised = 0

    @property
    def ids(self) -> np.ndarray:
        """Shape (rows, steps)."""
        return self._ids[:, : self.steps]

    @property
    def log_probs(self) -> np.ndarray:
        """Shape (rows, steps)."""
        self._normalise()
        return self._log_probs[:, : self.steps]

    def add(self, logits: Logits, chosen: np.ndarray) -> None:
        """
        logits (Tensor | ndarray): Shape (rows, vocabulary), from the model itself.
        chosen (ndarray): Shape (rows,).
        """
        if self.steps == self._ids.shape[1]:
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)], 1)
            self._log_probs = np.concatenate([self._log_probs, np.zeros_like(self._log_probs)], 1)
        self._ids[:, self.steps] = chosen
        values = logits if isinstance(logits, np.ndarray) else logits.detach().cpu().numpy()
        self._logits[self.steps - self._normalised] = values
        self.steps += 1
        if self.steps - self._normalised == self._block:
            self._normalise()

    def select(self, rows: np.ndarray) -> None:
        """Keep some rows only."""
        self._normalise()
        self._ids = self._ids[rows]
        self._log_probs = self._log_probs[rows]
        self._logits = self._logits[:, : len(rows)]

    def _normalise(self) -> None:
        first, last = self._normalised, self.steps
        if first == last:
            return
        ids = torch.from_numpy(self._ids[:, first:last].T[:, :, None].copy())
        log_probs = torch.from_numpy(self._logits[: last - first]).log_softmax(2)
        self._log_probs[:, first:last] = log_probs.gather(2, ids)[:, :, 0].numpy().T
        self._normalised = last
