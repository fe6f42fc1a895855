"""Choosing among all continuations of all hypotheses."""

import numpy as np
import torch
from torch import Tensor

from .logits import NEVER

_BLOCK = 64  # symbols
_LARGE = 2**18  # of fewer log-probabilities, looking at all of them is faster


def best_candidates(
    log_probs: Tensor, totals: np.ndarray, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations of the hypotheses of each row.

    For a large vocabulary, blocks of symbols are compared by their best ones first: the
    best `count` symbols are in the best `count` blocks.

    log_probs (Tensor): Shape (hypotheses, symbols): of those that there are, row by row.
    totals (np.ndarray): Shape (rows, most hypotheses), float32: what is added; -inf where
        there is no hypothesis.
    count (int): At most `most hypotheses` * symbols.
    RETURNS (tuple[Tensor, Tensor, Tensor]): Shape (rows, count) all: the sums, the best first;
        which of the row's hypotheses they continue; and where they are in log_probs:
        hypothesis * symbols + symbol. What is -inf may be anywhere.
    """
    (rows, most), (hypotheses, symbols), device = totals.shape, log_probs.shape, log_probs.device
    there = np.isfinite(totals).reshape(-1)
    sums = torch.from_numpy(totals).to(device)
    numbers = torch.from_numpy((there.cumsum() - 1).clip(0).reshape(rows, most)).to(device)
    slots = None  # of the hypotheses among rows * most, unless all are there
    if hypotheses < rows * most:
        slots = torch.from_numpy(np.flatnonzero(there)).to(device)
    if symbols < count * _BLOCK or rows * most * symbols < _LARGE:
        top = (_spread(log_probs, slots, rows, most) + sums[:, :, None]).flatten(1).topk(count)
        parents, chosen = _divmod(top.indices, symbols)
        return top.values, parents, numbers.gather(1, parents) * symbols + chosen
    blocks = symbols // _BLOCK
    whole = blocks * _BLOCK
    largest = log_probs[:, :whole].unflatten(1, (blocks, _BLOCK)).amax(2)
    best = (_spread(largest, slots, rows, most) + sums[:, :, None]).flatten(1)
    parents, block = _divmod(best.topk(min(count, blocks * most)).indices, blocks)
    first = numbers.gather(1, parents) * symbols + block * _BLOCK
    places = (first[:, :, None] + torch.arange(_BLOCK, device=device)).flatten(1)
    added, parents = (
        item.gather(1, parents).repeat_interleave(_BLOCK, 1)
        for item in (sums, torch.arange(most, device=device).expand(rows, -1))
    )
    if whole < symbols:  # what the last block leaves over, of each hypothesis
        rest = torch.arange(whole, symbols, device=device)
        left = symbols - whole
        places = torch.cat([places, (numbers[:, :, None] * symbols + rest).flatten(1)], 1)
        added = torch.cat([added, sums.repeat_interleave(left, 1)], 1)
        more = torch.arange(most, device=device).repeat_interleave(left)
        parents = torch.cat([parents, more.expand(rows, -1)], 1)
    top = (log_probs.view(-1)[places] + added).topk(count)
    return top.values, parents.gather(1, top.indices), places.gather(1, top.indices)


def _divmod(places: Tensor, width: int) -> tuple[Tensor, Tensor]:
    whole = places // width
    return whole, places - whole * width


def _spread(values: Tensor, slots: Tensor | None, rows: int, most: int) -> Tensor:
    """(hypotheses, n) to (rows, most, n)."""
    if slots is not None:
        room = values.new_full((rows * most, values.shape[1]), NEVER)
        values = room.index_copy_(0, slots, values)
    return values.view(rows, most, -1)
