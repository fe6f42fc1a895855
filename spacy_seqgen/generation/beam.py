"""Beam search (Wu et al. 2016, section 7, https://arxiv.org/abs/1609.08144)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .candidates import best_candidates
from .logits import NEVER, LogitsTransform, allow_end_if_nothing_else
from .results import Hypothesis
from .sampling import TOLERANCE, SelectFunction, StepFunction, select_rows
from .stopping import StopCondition

# State -> shape (rows,): for each row the sum, over the symbols of the source, of the
# logarithm of min(attention so far, 1): 0 where each has had its share.
CoverageFunction = Callable[[Any], Tensor]

_REASONS = ("length", "end", "stop")
_LENGTH, _END, _STOP = range(3)


def length_penalty(length: np.ndarray | Tensor | float, alpha: float) -> Any:
    """Equation 14 of Wu et al.: ((5 + length) / 6) ** alpha, where length counts the
    generated symbols, the end symbol included."""
    return ((5.0 + length) / 6.0) ** alpha


class Beam:
    """Keeps the `size` most probable hypotheses of each row.

    A row is finished when no live hypothesis can still beat the worst one that will be
    returned, whatever it goes on to generate: the probability of a live one only falls,
    so its score can at best become its present log-probability with the largest length
    penalty. What has not ended by `max_length` is returned as it is.

    step (StepFunction): The model.
    size (int): Hypotheses kept for each row.
    best (int): Hypotheses returned for each row, at most `size`.
    alpha (float): Exponent of the length penalty; 0 for none.
    suppress (Sequence[int]): Symbols never generated.
    min_length (int): The end symbol is not generated before so many others.
    transforms (Sequence[LogitsTransform]): Applied to the log-probabilities by which
        hypotheses are ranked.
    conditions (Sequence[StopCondition]): Beside the end symbol, what ends a hypothesis.
    coverage (CoverageFunction | None), beta (float): What is added to the score of a
        hypothesis that has ended, and a factor (Wu et al., equation 14). It is never
        above 0, so the stop rule holds with it too.
    """

    def __init__(
        self,
        step: StepFunction,
        *,
        size: int,
        best: int,
        alpha: float,
        end: int,
        max_length: int,
        suppress: Sequence[int] = (),
        min_length: int = 0,
        transforms: Sequence[LogitsTransform] = (),
        conditions: Sequence[StopCondition] = (),
        select: SelectFunction = select_rows,
        coverage: CoverageFunction | None = None,
        beta: float = 0.0,
    ):
        self.step = step
        self.size = size
        self.best = best
        self.alpha = alpha
        self.end = end
        self.max_length = max_length
        self.suppress = list(suppress)
        self.min_length = min_length
        self.transforms = list(transforms)
        self.conditions = list(conditions)
        self.select = select
        self.coverage = coverage
        self.beta = beta

    def run(
        self, state: Any, last_ids: np.ndarray, limits: np.ndarray | None = None
    ) -> list[list[Hypothesis]]:
        """Search.

        state (Any): The model's state after all but the last symbol of the prompts.
        last_ids (np.ndarray): Shape (rows,): the last symbols of the prompts.
        limits (np.ndarray | None): Shape (rows,): a `max_length` for each, above 0 and not
            above that of all.
        RETURNS (list[list[Hypothesis]]): `best` for each row, the best first.
        """
        rows, k = len(last_ids), self.size
        if self.max_length == 0:
            empty = Hypothesis(np.empty(0, np.int64), np.empty(0, np.float32), "length")
            return [[empty] * self.best for _ in range(rows)]
        results: list[list[Hypothesis]] = [[] for _ in range(rows)]
        spread = np.repeat(np.arange(rows), k)
        state = self.select(state, spread)
        ids: Any = last_ids[spread]
        alive = np.arange(rows)
        live = _Pool.empty(rows, k)
        live.scores[:, 0] = 0.0  # all k are the same at first: let one of them speak
        done = _Pool.empty(rows, k)
        certain = np.ones(rows, dtype=bool)
        limits = np.full(rows, self.max_length) if limits is None else limits
        for step in range(1, int(limits.max()) + 1):
            logits, state = self.step(state, ids)
            live = live.with_bonus(self._bonus(state, live))
            live, ended, parents, sure = self._extend(torch.as_tensor(logits), live)
            certain &= sure
            over = np.equal(limits, step)
            if over.any():
                live.reasons[over] = _LENGTH
                ended = ended.joined(live.where(over[:, None]))
            if ended.any():
                done = done.joined(ended.ranked(length_penalty(float(step), self.alpha))).best(k)
            finished = self._is_finished(live, done, limits) | over
            for row in np.flatnonzero(finished).tolist():
                results[alive[row]] = self._hypotheses(done, row, bool(certain[row]))
            if finished.all():
                break
            keep = np.flatnonzero(~finished)
            alive, certain, limits = alive[keep], certain[keep], limits[keep]
            flat = (keep[:, None] * k + parents[keep]).reshape(-1)
            live, done = live.rows(keep), done.rows(keep)
            state = self.select(state, flat)
            ids = live.ids[:, :, -1].reshape(-1)
        return results

    def _bonus(self, state: Any, live: "_Pool") -> np.ndarray:
        """What the coverage of each hypothesis adds to its score, should it end now."""
        if self.coverage is None:
            return live.bonus
        found = self.coverage(state).float().cpu().numpy()
        return self.beta * found.reshape(live.totals.shape)

    def _extend(
        self, logits: Tensor, live: "_Pool"
    ) -> tuple["_Pool", "_Pool", np.ndarray, np.ndarray]:
        """One step of all hypotheses: those that live on, those that ended, which
        hypothesis each of the living extends, and which rows decided clearly."""
        rows, k = live.totals.shape
        log_probs = logits.float().log_softmax(-1)
        ends = log_probs[:, self.end].view(rows, k).cpu().numpy().copy()
        ranked = self._rank(log_probs, live)
        totals = torch.from_numpy(live.scores).to(logits.device)
        # 2 k candidates: even if k of them end, k go on. One more shows the margin.
        width = min(2 * k + 1, k * logits.shape[-1])
        top, indices = best_candidates(ranked, totals, width)
        values, places = top.cpu().numpy(), indices.cpu().numpy()
        vocabulary = logits.shape[-1]
        sure = _are_apart(values)
        values, places = values[:, : 2 * k], places[:, : 2 * k]
        parents, symbols = places // vocabulary, places % vocabulary
        step_probs = log_probs.view(rows, -1).gather(1, indices[:, : 2 * k]).cpu().numpy()
        step_probs = np.where(symbols == self.end, _take(ends, parents), step_probs)
        pool = live.extended(parents, symbols, step_probs, values)
        reasons = self._reasons(pool)
        ended = pool.where((reasons != _LENGTH) & (np.arange(values.shape[1]) < k))
        going = np.where(reasons == _LENGTH, values, -np.inf)
        order = np.argsort(-going, axis=1, kind="stable")[:, :k]
        return pool.where(reasons == _LENGTH).take(order), ended, _take(parents, order), sure

    def _rank(self, log_probs: Tensor, live: "_Pool") -> Tensor:
        """By what symbols are chosen: shape (hypotheses, symbols). Those that are never
        generated are struck out of `log_probs` too: one copy less of something large."""
        steps = live.ids.shape[2]
        never = [*self.suppress, *([self.end] if steps < self.min_length else [])]
        log_probs[:, never] = NEVER
        if not self.transforms and len(never) < log_probs.shape[1]:
            return log_probs
        history = torch.from_numpy(live.ids.reshape(len(log_probs), steps)).to(log_probs.device)
        ranked = log_probs
        for transform in self.transforms:
            ranked = transform(ranked, history)
        return allow_end_if_nothing_else(ranked, self.end)

    def _reasons(self, pool: "_Pool") -> np.ndarray:
        reasons = np.where(pool.ids[:, :, -1] == self.end, _END, _LENGTH)
        shape = reasons.shape
        flat = pool.ids.reshape(-1, pool.ids.shape[2])
        chosen = flat[:, -1].tolist()
        for condition in self.conditions:
            if condition.reason == "stop":
                for row in condition(chosen, flat):
                    reasons[row // shape[1], row % shape[1]] = _STOP
        pool.reasons = reasons
        return reasons

    def _is_finished(self, live: "_Pool", done: "_Pool", limits: np.ndarray) -> np.ndarray:
        reachable = live.scores.max(1) / length_penalty(limits.astype(np.float32), self.alpha)
        worst = np.sort(done.scores, axis=1)[:, ::-1][:, self.best - 1]
        return (worst >= reachable) | np.isneginf(live.scores.max(1))

    def _hypotheses(self, done: "_Pool", row: int, certain: bool) -> list[Hypothesis]:
        scores = done.scores[row]
        order = np.argsort(-scores, kind="stable")[: self.best]
        ranked = np.sort(scores)[::-1][: self.best + 1]
        certain = certain and bool(_are_apart(ranked[None])[0])
        found = []
        for place in order[np.isfinite(scores[order])]:
            reason = _REASONS[done.reasons[row, place]]
            length = int(done.lengths[row, place])
            ids = done.ids[row, place, : length - (reason == "end")].copy()
            log_probs = done.log_probs[row, place, :length].copy()
            found.append(Hypothesis(ids, log_probs, reason, certain, float(scores[place])))
        return found


class _Pool:
    """Hypotheses of several rows, as arrays of shape (rows, hypotheses, ...)."""

    def __init__(
        self,
        ids: np.ndarray,
        log_probs: np.ndarray,
        totals: np.ndarray,
        scores: np.ndarray,
        reasons: np.ndarray,
        lengths: np.ndarray,
        bonus: np.ndarray,
    ):
        self.ids = ids  # (rows, hypotheses, steps)
        self.log_probs = log_probs  # (rows, hypotheses, steps)
        self.totals = totals  # (rows, hypotheses): sums of log-probabilities
        self.scores = scores  # what they are ranked by; -inf where there is none
        self.reasons = reasons
        self.lengths = lengths
        self.bonus = bonus  # what is added to the score of one that ends

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        names = ("ids", "log_probs", "totals", "scores", "reasons", "lengths", "bonus")
        return tuple(getattr(self, name) for name in names)

    @classmethod
    def empty(cls, rows: int, k: int) -> "_Pool":
        none = np.full((rows, k), -np.inf, dtype=np.float32)
        zeros = np.zeros((rows, k), dtype=np.int64)
        ids, log_probs = np.zeros((rows, k, 0), np.int64), np.zeros((rows, k, 0), np.float32)
        bonus = np.zeros((rows, k), dtype=np.float32)
        return cls(ids, log_probs, none.copy(), none, zeros, zeros.copy(), bonus)

    def any(self) -> bool:
        return bool(np.isfinite(self.scores).any())

    def rows(self, keep: np.ndarray) -> "_Pool":
        return _Pool(*(array[keep] for array in self._arrays))

    def take(self, order: np.ndarray) -> "_Pool":
        return _Pool(*(_take(array, order) for array in self._arrays))

    def best(self, k: int) -> "_Pool":
        return self.take(np.argsort(-self.scores, axis=1, kind="stable")[:, :k])

    def where(self, mask: np.ndarray) -> "_Pool":
        return self._with(scores=np.where(mask, self.scores, -np.inf).astype(np.float32))

    def ranked(self, penalty: float) -> "_Pool":
        scores = self.totals / penalty + self.bonus
        return self._with(scores=np.where(np.isneginf(self.scores), self.scores, scores))

    def with_bonus(self, bonus: np.ndarray) -> "_Pool":
        return self if bonus is self.bonus else self._with(bonus=bonus)

    def _with(self, **changed: np.ndarray) -> "_Pool":
        found = _Pool(*self._arrays)
        for name, array in changed.items():
            setattr(found, name, array)
        return found

    def joined(self, other: "_Pool") -> "_Pool":
        """Both, the shorter sequences padded."""
        steps = max(self.ids.shape[2], other.ids.shape[2])
        pairs = zip(self._arrays, other._arrays, strict=True)
        return _Pool(*(np.concatenate([_pad(a, steps), _pad(b, steps)], axis=1) for a, b in pairs))

    def extended(
        self, parents: np.ndarray, symbols: np.ndarray, log_probs: np.ndarray, totals: np.ndarray
    ) -> "_Pool":
        """Each new hypothesis is a parent and one more symbol."""
        ids = np.concatenate([_take(self.ids, parents), symbols[:, :, None]], 2)
        steps = np.concatenate([_take(self.log_probs, parents), log_probs[:, :, None]], 2)
        lengths = np.full(symbols.shape, ids.shape[2], dtype=np.int64)
        bonus = _take(self.bonus, parents)
        return _Pool(ids, steps, totals, totals, np.zeros_like(lengths), lengths, bonus)


def _pad(array: np.ndarray, steps: int) -> np.ndarray:
    if array.ndim < 3 or array.shape[2] == steps:
        return array
    return np.pad(array, ((0, 0), (0, 0), (0, steps - array.shape[2])))


def _are_apart(ranked: np.ndarray) -> np.ndarray:
    """Whether the values in each row, which fall, differ by more than rounding errors."""
    first, second = ranked[:, :-1], ranked[:, 1:]
    return np.all(np.isneginf(second) | (second < first - TOLERANCE), axis=1)


def _take(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    """array[row, order[row]] for every row."""
    return array[np.arange(len(order))[:, None], order]
