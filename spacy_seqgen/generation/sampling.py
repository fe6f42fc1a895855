"""Sampling, and greedy search, which is sampling without noise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .logits import LogitsTransform, allow_end_if_nothing_else
from .noise import Noise
from .results import Hypothesis, Logits, Trace
from .stopping import StopCondition

# (state, last ids) -> (logits, state). Ids and logits are tensors, or NumPy arrays for a
# model whose arithmetic is faster there. A step may overwrite the state it is given.
StepFunction = Callable[[Any, Any], tuple[Logits, Any]]
SelectFunction = Callable[[Any, np.ndarray], Any]

# A decision by less than this may come out otherwise in another batch: the differences
# between the best logits of 1 row and of 64 were up to 1e-5, in millions of decisions.
TOLERANCE = 2e-5


def select_rows(state: Any, rows: np.ndarray) -> Any:
    """Keep some rows of a state made of arrays and tensors, batch first, in tuples."""
    if isinstance(state, tuple):
        return tuple(select_rows(item, rows) for item in state)
    if isinstance(state, np.ndarray):
        return state[rows]
    return state.index_select(0, torch.from_numpy(rows).to(state.device))


@dataclass(slots=True)
class Step:
    """What is known after one step.

    trace (Trace): Everything generated so far by the rows that are left.
    alive (np.ndarray): Shape (rows,): which of the original rows they are.
    certain (np.ndarray): Shape (rows,), bool: see `Hypothesis`.
    ended (dict[int, str]): The rows that are finished now, and why.
    """

    trace: Trace
    alive: np.ndarray
    certain: np.ndarray
    ended: dict[int, str]

    def hypothesis(self, row: int, reason: str) -> Hypothesis:
        length = self.trace.steps - (reason == "end")
        ids, log_probs = self.trace.ids[row, :length].copy(), self.trace.log_probs[row].copy()
        score = float(log_probs.sum(dtype=np.float64))
        return Hypothesis(ids, log_probs, reason, bool(self.certain[row]), score)


class Sampler:
    """Generates a batch of sequences, one symbol of each row at a step.

    step (StepFunction): The model.
    noise (Noise): Randomness and forbidden symbols.
    transforms (Sequence[LogitsTransform]): Applied to the logits before the noise.
    conditions (Sequence[StopCondition]): When a row is finished.
    max_length (int): When all are.
    """

    def __init__(
        self,
        step: StepFunction,
        noise: Noise,
        *,
        transforms: Sequence[LogitsTransform] = (),
        conditions: Sequence[StopCondition] = (),
        max_length: int,
        select: SelectFunction = select_rows,
    ):
        self.step = step
        self.noise = noise
        self.transforms = list(transforms)
        self.conditions = list(conditions)
        self.max_length = max_length
        self.select = select
        self._jitter: torch.Tensor | None = None
        self._alone = False

    def run(
        self, state: Any, last_ids: np.ndarray, limits: np.ndarray | None = None
    ) -> list[Hypothesis]:
        """Generate until every row is finished.

        state (Any): The model's state after all but the last symbol of the prompts.
        last_ids (np.ndarray): Shape (rows,): the last symbols of the prompts.
        limits (np.ndarray | None): Shape (rows,): a `max_length` for each.
        RETURNS (list[Hypothesis]): One for each row.
        """
        empty = np.empty(0, np.int64), np.empty(0, np.float32)
        results = [Hypothesis(*empty, "length") for _ in last_ids]
        for step in self.steps(state, last_ids, limits):
            for row, reason in step.ended.items():
                results[step.alive[row]] = step.hypothesis(row, reason)
        return results

    def steps(
        self, state: Any, last_ids: np.ndarray, limits: np.ndarray | None = None
    ) -> Iterator[Step]:
        """Generate, and yield after each step. Finished rows are gone at the next."""
        ids: Any = last_ids
        # The last row left is none: its state still comes from a batch.
        self._alone = len(last_ids) == 1
        alive = np.arange(len(last_ids))
        certain = np.ones(len(last_ids), dtype=bool)
        trace: Trace | None = None
        for step in range(self.max_length):
            logits, state = self.step(state, ids)
            if trace is None:
                trace = Trace(*logits.shape)
            ids = self._choose(logits, self.noise.at(step), trace, certain)
            chosen = ids if isinstance(ids, np.ndarray) else ids.cpu().numpy()
            trace.add(logits, chosen)
            ended = self._ended(chosen, trace)
            if limits is not None:
                for row in np.flatnonzero(limits[alive] == trace.steps).tolist():
                    ended.setdefault(row, "length")
            yield Step(trace, alive, certain, ended)
            if len(ended) == len(alive):
                return
            if ended:
                keep = np.array([row for row in range(len(alive)) if row not in ended])
                state = self.select(state, keep)
                ids = select_rows(ids, keep)
                alive, certain = alive[keep], certain[keep]
                trace.select(keep)
                self.noise.select(keep)

    def _choose(self, logits: Logits, noise: np.ndarray, trace: Trace, certain: np.ndarray) -> Any:
        """The symbol with the highest score in each row, of the type of the logits."""
        if isinstance(logits, np.ndarray) and not self.transforms:
            scores = logits + noise
            ids = scores.argmax(1)
            if not self._alone:
                every, at = scores.reshape(-1), ids + np.arange(0, scores.size, scores.shape[1])
                best = every[at]
                every[at] = -np.inf
                certain &= best - scores.max(1) > TOLERANCE
            return ids
        values = torch.as_tensor(logits)
        added = torch.from_numpy(noise).to(values.device)
        history = torch.from_numpy(trace.ids).to(values.device)
        scores = self._scores(values, added, history)
        if self._alone:
            chosen = scores.argmax(1)
        else:
            two = scores.topk(2)
            chosen = two.indices[:, 0]
            sure = two.values[:, 0] - two.values[:, 1] > TOLERANCE
            if self.transforms:
                sure &= self._is_stable(values, added, history, chosen)
            certain &= sure.cpu().numpy()
        return chosen.numpy() if isinstance(logits, np.ndarray) else chosen

    def _scores(
        self, logits: torch.Tensor, noise: torch.Tensor, generated: torch.Tensor
    ) -> torch.Tensor:
        for transform in self.transforms:
            logits = transform(logits, generated)
        scores = logits + noise
        return allow_end_if_nothing_else(scores, self.noise.end) if self.transforms else scores

    def _is_stable(
        self,
        logits: torch.Tensor,
        noise: torch.Tensor,
        generated: torch.Tensor,
        ids: torch.Tensor,
    ) -> torch.Tensor:
        """Whether the filters lead to the same choice when the logits are disturbed a
        little: a symbol at the very edge of a nucleus may be in or out."""
        if self._jitter is None:
            generator = torch.Generator().manual_seed(0)
            jitter = torch.randn(logits.shape[1], generator=generator) * TOLERANCE
            self._jitter = jitter.to(logits.device)
        sure = torch.ones_like(ids, dtype=torch.bool)
        for disturbed in (logits + self._jitter, logits - self._jitter):
            sure &= self._scores(disturbed, noise, generated).argmax(1) == ids
        return sure

    def _ended(self, chosen: np.ndarray, trace: Trace) -> dict[int, str]:
        ended: dict[int, str] = {}
        symbols, generated = chosen.tolist(), trace.ids
        for condition in self.conditions:
            for row in condition(symbols, generated):
                ended.setdefault(row, condition.reason)
        if trace.steps == self.max_length:
            for row in range(len(symbols)):
                ended.setdefault(row, "length")
        return ended
