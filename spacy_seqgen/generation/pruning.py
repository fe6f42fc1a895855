"""Which hypotheses of a beam need not be computed any more."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from .hypotheses import Done, Live, are_apart
from .logits import NEVER
from .sampling import TOLERANCE

# With a threshold, no hypothesis is expected to become longer than this times its length, and
# so many symbols.
_LONGER, _MORE = 1.25, 2


def length_penalty(length: np.ndarray | Tensor | float, alpha: float) -> Any:
    """Equation 14 of Wu et al. (2016): ((5 + length) / 6) ** alpha, where length counts the
    generated symbols, the end symbol included."""
    return ((5.0 + length) / 6.0) ** alpha


@dataclass
class Pruning:
    """Drops hypotheses that can't be among the best any more, whatever they go on to
    generate: the probability of a live one only falls, also what transforms make of it, so
    its score can at best become its present log-probability with the largest length penalty.

    best (int): Hypotheses that will be returned.
    alpha (float): Exponent of the length penalty.
    threshold (float): Drop live hypotheses whose log-probability is lower by more than this
        than that of the live one in place `best` (Freitag and Al-Onaizan 2017,
        https://arxiv.org/abs/1702.01806, "absolute threshold pruning"), and those that could only
        win by becoming much longer than they are; 0 for neither.
    """

    best: int
    alpha: float
    threshold: float = 0.0

    def prune(self, live: Live, done: Done, limits: np.ndarray) -> tuple[Live, np.ndarray]:
        """
        limits (np.ndarray): Shape (rows,): the longest that hypotheses may become.
        RETURNS (tuple): The living that are left, and, shape (rows,), the log-probability of the
            best one that, by the threshold, may be in or out with other rounding errors; -inf
            for none.
        """
        values, worst = live.scores, done.scores[:, self.best - 1, None]
        if self.threshold:
            limits = np.minimum(limits, live.ids.shape[2] * _LONGER + _MORE)
        reachable = values / length_penalty(limits.astype(np.float32), self.alpha)[:, None]
        lost = reachable < worst - TOLERANCE
        close = np.full(len(values), NEVER, dtype=np.float32)
        if self.threshold:
            edge = values[:, self.best - 1, None] - self.threshold
            lost |= values < edge
            near = _are_near(values, edge) | _are_near(reachable, worst - TOLERANCE)
            close = np.where(near, values, NEVER).max(1)
        return live._replace(scores=np.where(lost, NEVER, values)), close

    def is_certain(self, done: Done, row: int, doubt: float, limit: int) -> bool:
        """Whether the results would be the same with other rounding errors: they are apart,
        and what was let go, though it was as good as what was kept, could never have been
        better. Nor could it have crowded them out: its probability only falls.

        doubt (float): The best score of what may have been let go or kept; -inf for none.
        limit (int): The longest it could become.
        """
        if not are_apart(done.scores[row : row + 1, : self.best + 1])[0]:
            return False
        if doubt == NEVER:
            return True
        scores, lengths = done.scores[row, : self.best], done.lengths[row, : self.best]
        totals = scores * length_penalty(lengths, self.alpha)
        reachable = doubt / length_penalty(float(limit), self.alpha)
        return bool(min((totals - doubt).min(), (scores - reachable).min()) > TOLERANCE)


def _are_near(values: np.ndarray, edge: np.ndarray) -> np.ndarray:
    return (values >= edge - TOLERANCE) & (values <= edge + TOLERANCE)
