"""Choosing among all continuations of all hypotheses."""

import torch
from torch import Tensor

_BLOCK = 64  # symbols
_LARGE = 2**18  # of fewer log-probabilities, looking at all of them is faster


def best_candidates(log_probs: Tensor, totals: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The best continuations of the hypotheses of each row.

    For a large vocabulary, blocks of symbols are compared by their best ones first: the
    best `count` symbols are in the best `count` blocks.

    log_probs (Tensor): Shape (rows * hypotheses, symbols).
    totals (Tensor): Shape (rows, hypotheses): what is added.
    count (int): At most rows * symbols.
    RETURNS (tuple[Tensor, Tensor]): Shape (rows, count) both: the sums, the best first;
        and where they are: hypothesis * symbols + symbol.
    """
    rows, hypotheses = totals.shape
    symbols = log_probs.shape[1]
    if symbols < count * _BLOCK or log_probs.numel() < _LARGE:
        sums = totals[:, :, None] + log_probs.view(rows, hypotheses, symbols)
        top = sums.view(rows, -1).topk(count)
        return top.values, top.indices
    blocks = symbols // _BLOCK
    whole = blocks * _BLOCK
    largest = log_probs[:, :whole].unflatten(1, (blocks, _BLOCK)).amax(2)
    sums = (totals[:, :, None] + largest.view(rows, hypotheses, blocks)).view(rows, -1)
    chosen = sums.topk(min(count, sums.shape[1])).indices
    first = chosen // blocks * symbols + chosen % blocks * _BLOCK
    within = torch.arange(_BLOCK, device=chosen.device)
    places = (first[:, :, None] + within).view(rows, -1)
    # And what the last block leaves over, of each hypothesis.
    begins = torch.arange(hypotheses, device=chosen.device)[:, None] * symbols
    rest = (begins + torch.arange(whole, symbols, device=chosen.device)).view(1, -1)
    places = torch.cat([places, rest.expand(rows, -1)], 1)
    found = log_probs.view(rows, -1).gather(1, places)
    found = found + totals.gather(1, places // symbols)
    top = found.topk(count)
    return top.values, places.gather(1, top.indices)
