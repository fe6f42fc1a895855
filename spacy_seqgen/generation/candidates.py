"""Choosing among all continuations of all hypotheses."""

import numpy as np
import torch
from torch import Tensor

from .hypotheses import take
from .logits import NEVER

_BLOCK = 64  # symbols
_LARGE = 2**15  # of fewer log-probabilities, looking at all of them is faster


def best_candidates(
    log_probs: Tensor, totals: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best continuations of the hypotheses of each row.

    For a large vocabulary, blocks of symbols are compared by their best ones first: the
    best `count` symbols are in the best `count` blocks.

    log_probs (Tensor): Shape (hypotheses, symbols): of those that there are, row by row.
    totals (np.ndarray): Shape (rows, most hypotheses), float32: what is added; -inf where
        there is no hypothesis.
    count (int): At most `most hypotheses` * symbols.
    RETURNS (tuple[np.ndarray, np.ndarray, np.ndarray]): Shape (rows, count) all: the sums, the
        best first; which of the row's hypotheses they continue; and where they are in
        log_probs: hypothesis * symbols + symbol. What is -inf may be anywhere.
    """
    (rows, most), (hypotheses, symbols), device = totals.shape, log_probs.shape, log_probs.device
    there = np.isfinite(totals).reshape(-1)
    sums = torch.from_numpy(totals).to(device)
    numbers = np.maximum(there.cumsum() - 1, 0).reshape(rows, most)
    slots = None  # of the hypotheses among rows * most, unless all are there
    if hypotheses < rows * most:
        slots = torch.from_numpy(np.flatnonzero(there)).to(device)
    if symbols < count * _BLOCK or rows * most * symbols < _LARGE:
        top = (_spread(log_probs, slots, rows, most) + sums[:, :, None]).flatten(1).topk(count)
        parents, chosen = np.divmod(top.indices.cpu().numpy(), symbols)
        return top.values.cpu().numpy(), parents, take(numbers, parents) * symbols + chosen
    blocks = symbols // _BLOCK
    whole = blocks * _BLOCK
    largest = log_probs[:, :whole].unflatten(1, (blocks, _BLOCK)).amax(2)
    best = (_spread(largest, slots, rows, most) + sums[:, :, None]).flatten(1)
    chosen = best.topk(min(count, blocks * most)).indices.cpu().numpy()
    parents, block = np.divmod(chosen, blocks)
    first = take(numbers, parents) * symbols + block * _BLOCK
    places = (first[:, :, None] + np.arange(_BLOCK)).reshape(rows, -1)
    parents = parents.repeat(_BLOCK, 1)
    if whole < symbols:  # what the last block leaves over, of each hypothesis
        rest = (numbers[:, :, None] * symbols + np.arange(whole, symbols)).reshape(rows, -1)
        places = np.concatenate([places, rest], 1)
        more = np.arange(most).repeat(symbols - whole)
        parents = np.concatenate([parents, np.broadcast_to(more, rest.shape)], 1)
    added = torch.from_numpy(take(totals, parents)).to(device)
    top = (log_probs.take(torch.from_numpy(places).to(device)) + added).topk(count)
    chosen = top.indices.cpu().numpy()
    return top.values.cpu().numpy(), take(parents, chosen), take(places, chosen)


def _spread(values: Tensor, slots: Tensor | None, rows: int, most: int) -> Tensor:
    """(hypotheses, n) to (rows, most, n)."""
    if slots is not None:
        room = values.new_full((rows * most, values.shape[1]), NEVER)
        values = room.index_copy_(0, slots, values)
    return values.view(rows, most, -1)
