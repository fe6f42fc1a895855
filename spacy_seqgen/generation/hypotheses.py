"""What a beam search holds: hypotheses of several rows, as arrays."""

from typing import NamedTuple

import numpy as np

from .results import Hypothesis
from .sampling import TOLERANCE

REASONS = ("length", "end", "stop")


class Found(NamedTuple):
    """Continuations of the hypotheses of each row, the best first: shape (rows,
    continuations) each.

    values (np.ndarray): What they are ranked by, float32; -inf where there is none.
    parents (np.ndarray): The hypotheses they continue,
    symbols (np.ndarray): with these symbols,
    log_probs (np.ndarray): and how probable those are.
    behind (np.ndarray): Shape (rows, 1): by what the next one would be ranked.
    """

    values: np.ndarray
    parents: np.ndarray
    symbols: np.ndarray
    log_probs: np.ndarray
    behind: np.ndarray

    @classmethod
    def make(
        cls,
        values: np.ndarray,
        parents: np.ndarray,
        symbols: np.ndarray,
        log_probs: np.ndarray,
        count: int,
    ) -> "Found":
        """The best `count` of them, of one more; where there are fewer, the others are none."""
        missing = count + 1 - values.shape[1]
        if missing > 0:
            room = (0, 0), (0, missing)
            values = np.pad(values, room, constant_values=-np.inf)
            parents, symbols, log_probs = (
                np.pad(item, room) for item in (parents, symbols, log_probs)
            )
        parents, symbols, log_probs = (item[:, :count] for item in (parents, symbols, log_probs))
        return cls(values[:, :count], parents, symbols, log_probs, values[:, count:])

    def find_doubts(self, has_ended: np.ndarray, k: int) -> np.ndarray:
        """Where it is not clear, in a row, which k go on, or which end among the first k: what
        the best one is ranked by that may be in or out. In which order they are does not matter.

        has_ended (np.ndarray): Which of them end: shape (rows, continuations), bool.
        RETURNS (np.ndarray): Shape (rows,): -inf where all is clear.
        """
        values = np.concatenate([self.values, self.behind], 1)
        if are_apart(values).all():  # as nearly always: then there is no need to look closer
            return np.full(len(values), -np.inf, dtype=np.float32)
        going = -np.sort(np.where(has_ended, np.inf, -self.values), 1)
        going = -np.sort(-np.concatenate([going, self.behind], 1), 1)
        goes = np.where(are_apart(going[:, k - 1 : k + 1]), -np.inf, going[:, k - 1])
        # One that ends is in or out for sure if it is apart from the first behind the edge, or
        # the last before it.
        last, first = values[:, k - 1, None], values[:, k, None]
        close = first >= self.values - TOLERANCE
        close[:, k:] = (self.values >= last - TOLERANCE)[:, k:]
        unclear = (close & has_ended & np.isfinite(self.values)).any(1)
        return np.maximum(goes, np.where(unclear, last[:, 0], -np.inf))


class Live(NamedTuple):
    """Hypotheses that go on, the best first.

    ids (np.ndarray), log_probs (np.ndarray): Shape (rows, hypotheses, steps).
    scores (np.ndarray): Shape (rows, hypotheses), float32; -inf where there is none.
    """

    ids: np.ndarray
    log_probs: np.ndarray
    scores: np.ndarray

    @classmethod
    def start(cls, rows: int) -> "Live":
        """One of each row, and empty."""
        empty = np.zeros((rows, 1, 0))
        scores = np.zeros((rows, 1), np.float32)
        return cls(empty.astype(np.int64), empty.astype(np.float32), scores)

    @property
    def there(self) -> np.ndarray:
        """Shape (rows, hypotheses), bool: where there is one. The model's state has these."""
        return np.isfinite(self.scores)

    @property
    def numbers(self) -> np.ndarray:
        """Shape (rows, hypotheses): where in the model's state each one is."""
        return (self.there.cumsum() - 1).reshape(self.scores.shape)

    def rows(self, keep: np.ndarray) -> "Live":
        return Live(*(array[keep] for array in self))

    def extended(
        self, found: Found, order: np.ndarray, values: np.ndarray
    ) -> tuple["Live", np.ndarray]:
        """Some of the continuations, and which hypotheses they continue.

        order (np.ndarray): Which of those found: shape (rows, any number).
        values (np.ndarray): The scores of all that were found.
        """
        rows = np.arange(len(order))[:, None]
        parents = found.parents[rows, order]
        pairs = (self.ids, found.symbols), (self.log_probs, found.log_probs)
        ids, log_probs = (
            np.concatenate([before[rows, parents], new[rows, order, None]], 2)
            for before, new in pairs
        )
        return Live(ids, log_probs, values[rows, order]), parents


class Done(NamedTuple):
    """The best hypotheses that have ended, the best first; as many of each row.

    ids (np.ndarray), log_probs (np.ndarray): Shape (rows, hypotheses, steps), padded.
    scores (np.ndarray): Shape (rows, hypotheses): length penalty and all; -inf for none.
    reasons (np.ndarray), lengths (np.ndarray): The same: places in `REASONS`, and steps.
    """

    ids: np.ndarray
    log_probs: np.ndarray
    scores: np.ndarray
    reasons: np.ndarray
    lengths: np.ndarray

    @classmethod
    def empty(cls, rows: int, k: int) -> "Done":
        none = np.full((rows, k), -np.inf, dtype=np.float32)
        zeros = np.zeros((rows, k), dtype=np.int64)
        ids, steps = np.zeros((rows, k, 0), np.int64), np.zeros((rows, k, 0), np.float32)
        return cls(ids, steps, none, zeros, zeros)

    def rows(self, keep: np.ndarray) -> "Done":
        return Done(*(array[keep] for array in self))

    def joined(self, more: Live, scores: np.ndarray, reasons: np.ndarray) -> "Done":
        """The best of these and of others, as many as before."""
        k = self.scores.shape[1]
        steps = more.ids.shape[2]
        mine = (_pad(array, steps) for array in (self.ids, self.log_probs))
        pairs = [
            *zip(mine, (more.ids, more.log_probs), strict=True),
            (self.scores, scores),
            (self.reasons, reasons),
            (self.lengths, np.full(reasons.shape, steps)),
        ]
        joined = [np.concatenate(pair, axis=1) for pair in pairs]
        order = np.argsort(-joined[2], axis=1, kind="stable")[:, :k]
        return Done(*(take(array, order) for array in joined))

    def results(self, row: int, count: int, certain: bool) -> list[Hypothesis]:
        """The best of a row.

        certain (bool): Whether they would be the same with other rounding errors.
        """
        scores = self.scores[row]
        found = []
        for place in np.flatnonzero(np.isfinite(scores[:count])).tolist():
            reason = REASONS[self.reasons[row, place]]
            length = int(self.lengths[row, place])
            ids = self.ids[row, place, : length - (reason == "end")].copy()
            log_probs = self.log_probs[row, place, :length].copy()
            found.append(Hypothesis(ids, log_probs, reason, certain, float(scores[place])))
        return found


def take(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    """array[row, order[row]] for every row."""
    return array[np.arange(len(order))[:, None], order]


def _pad(array: np.ndarray, steps: int) -> np.ndarray:
    padded = np.zeros((*array.shape[:2], steps), array.dtype)
    padded[:, :, : array.shape[2]] = array
    return padded


def are_apart(ranked: np.ndarray) -> np.ndarray:
    """Whether the values in each row, which fall, differ by more than rounding errors."""
    first, second = ranked[:, :-1], ranked[:, 1:]
    return ((second == -np.inf) | (second < first - TOLERANCE)).all(1)
