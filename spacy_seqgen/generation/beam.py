"""Beam search (Wu et al. 2016, section 7, https://arxiv.org/abs/1609.08144)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .candidates import best_candidates
from .hypotheses import REASONS, Done, Found, Live, take
from .logits import NEVER, LogitsTransform, allow_end_if_nothing_else
from .pruning import Pruning, length_penalty
from .results import Hypothesis
from .sampling import SelectFunction, StepFunction, select_rows
from .stopping import StopCondition

# State -> shape (rows,): for each row the sum, over the symbols of the source, of the
# logarithm of min(attention so far, 1): 0 where each has had its share.
CoverageFunction = Callable[[Any], Tensor]

_LENGTH, _END, _STOP = range(len(REASONS))


class Beam:
    """Keeps the `size` most probable hypotheses of each row.

    A live hypothesis that can no longer beat the worst one that will be returned is dropped. A
    row is finished when none is left. What has not ended by `max_length` is returned as it is.
    The model only computes what is alive.

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
        above 0, so what can no longer win is known with it too.
    threshold (float): See `Pruning`.
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
        threshold: float = 0.0,
    ):
        self.step = step
        self.size = size
        self.best = best
        self.alpha = alpha
        self.end = end
        self.max_length = max_length
        # And while it is too short to end.
        never = list(suppress), [*suppress, end]
        self._never = [torch.tensor(symbols, dtype=torch.int64) for symbols in never]
        self.min_length = min_length
        self.transforms = list(transforms)
        self.conditions = list(conditions)
        self.select = select
        self.coverage = coverage
        self.beta = beta
        self.pruning = Pruning(best, alpha, threshold)

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
        ids: Any = last_ids
        alive, doubts = np.arange(rows), np.full(rows, NEVER, dtype=np.float32)
        # One more than wanted shows how close it was.
        live, done = Live.start(rows), Done.empty(rows, self.best + 1)
        limits = np.full(rows, self.max_length) if limits is None else limits
        for step in range(1, int(limits.max()) + 1):
            numbers = live.numbers
            logits, state = self.step(state, ids)
            found = self._find(torch.as_tensor(logits), live)
            reasons = self._reasons(live, found)
            doubts = np.maximum(doubts, found.find_doubts(reasons > _LENGTH, k))
            bonus = self._bonus(state, live)
            live, done, parents = self._extend(step, live, done, found, reasons, bonus, limits)
            live, close = self.pruning.prune(live, done, limits)
            over = limits == step  # whatever is alive has been put to what has ended
            doubts = np.where(over, doubts, np.maximum(doubts, close))
            finished = ~live.there[:, 0] | over
            if finished.any():
                for row in np.flatnonzero(finished).tolist():
                    certain = self.pruning.is_certain(done, row, doubts[row], limits[row])
                    results[alive[row]] = done.results(row, self.best, certain)
                keep = np.flatnonzero(~finished)
                if not len(keep):
                    break
                alive, doubts, limits = alive[keep], doubts[keep], limits[keep]
                live, done = live.rows(keep), done.rows(keep)
                numbers, parents = numbers[keep], parents[keep]
            there = live.there
            state = self.select(state, take(numbers, parents)[there])
            ids = live.ids[:, :, -1][there]
        return results

    def _find(self, logits: Tensor, live: Live) -> Found:
        """The best continuations of the hypotheses of each row: twice as many as are kept, so
        that even if half of them end there are enough to go on."""
        k, most = self.size, int(live.there.sum(1).max())
        totals = live.scores[:, :most]
        log_probs = logits.float().log_softmax(-1)
        ends = log_probs[:, self.end].cpu().numpy().copy() if self.min_length else None
        ranked = self._rank(log_probs, live)
        # One more shows the margin.
        width = min(2 * k + 1, most * logits.shape[-1])
        top, parents, places = best_candidates(ranked, totals, width)
        chosen = log_probs.take(torch.from_numpy(places).to(log_probs.device)).cpu().numpy()
        symbols = places % logits.shape[-1]
        if ends is not None:  # struck out of log_probs while it may not come
            chosen = np.where(symbols == self.end, ends[take(live.numbers, parents)], chosen)
        return Found.make(top, parents, symbols, chosen, 2 * k)

    def _rank(self, log_probs: Tensor, live: Live) -> Tensor:
        """By what symbols are chosen: shape (hypotheses, symbols). Those that are never
        generated are struck out of `log_probs` too: one copy less of something large."""
        steps = live.ids.shape[2]
        never = self._never[steps < self.min_length]
        if len(never):
            log_probs.index_fill_(1, never.to(log_probs.device), NEVER)
        if not self.transforms and len(never) < log_probs.shape[1]:
            return log_probs
        history = torch.from_numpy(live.ids[live.there]).to(log_probs.device)
        ranked = log_probs
        for transform in self.transforms:
            ranked = transform(ranked, history)
        return allow_end_if_nothing_else(ranked, self.end)

    def _extend(
        self,
        step: int,
        live: Live,
        done: Done,
        found: Found,
        reasons: np.ndarray,
        bonus: np.ndarray | None,
        limits: np.ndarray,
    ) -> tuple[Live, Done, np.ndarray]:
        """Sort what was found into what has ended and what goes on.

        reasons (np.ndarray): Why each continuation ends, if it does.
        bonus (np.ndarray | None): Shape (rows, hypotheses): what is added to the score of
            one that ends.
        RETURNS (tuple): The living, the best first; those that have ended; and which of
            the hypotheses before each of the living extends.
        """
        rows, k = len(live.scores), self.size
        penalty = length_penalty(float(step), self.alpha)
        added = np.zeros_like(live.scores) if bonus is None else bonus
        has_ended = reasons[:, :k] > _LENGTH
        if has_ended.any():
            first = np.broadcast_to(np.arange(k), (rows, k))
            ended, parents = live.extended(found, first, found.values)
            scores = ended.scores / penalty + take(added, parents)
            done = done.joined(ended, np.where(has_ended, scores, NEVER), reasons[:, :k])
        going = np.where(reasons > _LENGTH, NEVER, found.values).astype(np.float32)
        order = np.argsort(-going, axis=1, kind="stable")[:, :k]
        live, parents = live.extended(found, order, going)
        over = limits == step
        if over.any():
            scores = live.scores / penalty + take(added, parents)
            none = np.full((rows, k), _LENGTH)
            done = done.joined(live, np.where(over[:, None], scores, NEVER), none)
        return live, done, parents

    def _bonus(self, state: Any, live: Live) -> np.ndarray | None:
        """What the coverage of each hypothesis adds to its score, should it end now."""
        if self.coverage is None:
            return None
        bonus = np.zeros_like(live.scores)
        bonus[live.there] = self.beta * self.coverage(state).float().cpu().numpy()
        return bonus

    def _reasons(self, live: Live, found: Found) -> np.ndarray:
        """Why each continuation ends, if it does: shape (rows, continuations)."""
        reasons = np.where(found.symbols == self.end, _END, _LENGTH)
        rows, width = reasons.shape
        stops = [condition for condition in self.conditions if condition.reason == "stop"]
        if stops:
            every = np.broadcast_to(np.arange(width), (rows, width))
            texts = live.extended(found, every, found.values)[0].ids.reshape(rows * width, -1)
            for condition in stops:
                for place in condition(texts[:, -1].tolist(), texts):
                    reasons[place // width, place % width] = _STOP
        return reasons
