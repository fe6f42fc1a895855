"""The scores of additive attention on a CPU."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_IN_CACHE = 2**17  # values of a CPU, 512 KB


def additive_scores(queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    """energy . tanh(query + key) of all pairs (Bahdanau et al. 2015, appendix A.1.2).

    There is a vector for each pair, and to move them all through memory takes longer than to
    compute them. They are made in parts that stay in the processor's cache, and made once more
    for gradients: half of the time of PyTorch's own functions, and nothing to keep but queries
    and keys. Where a decoder asks step by step, they are kept.

    queries (Tensor): Shape (batch, queries, width); on a CPU, as the others.
    keys (Tensor): Shape (batch, time, width).
    energy (Tensor): Shape (width,).
    RETURNS (Tensor): Shape (batch, queries, time), at least float32.
    """
    dtype = torch.promote_types(queries.dtype, torch.float32)
    queries, keys, energy = queries.to(dtype), keys.to(dtype), energy.to(dtype)
    with torch.autocast("cpu", enabled=False):
        if queries.shape[1] == 1:
            return _OfOneQuery.apply(queries, keys, energy)[:, None]
        return _OfQueries.apply(queries, keys, energy)


# tanh(x) = 2 s - 1 with s = sigmoid(2 x), of which PyTorch's takes a third of the time; the
# derivative is 4 s (1 - s).


class _OfOneQuery(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
        found = (queries + keys).mul_(2).sigmoid_()
        ctx.save_for_backward(found, energy)
        return (found @ (energy * 2)).sub_(energy.sum())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found, energy = ctx.saved_tensors
        d_energy = found.flatten(0, 1).t() @ gradient.flatten()
        slopes = torch.addcmul(found, found, found, value=-1).mul_(gradient[:, :, None])
        d_keys = slopes.mul_(energy * 4)
        return d_keys.sum(1, keepdim=True), d_keys, d_energy.mul_(2).sub_(gradient.sum())


class _OfQueries(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
        ctx.save_for_backward(queries, keys, energy)
        scores, twice = queries.new_empty(*queries.shape[:2], keys.shape[1]), energy * 2
        for rows, places, found in _sigmoids(queries, keys):
            scores[rows, places] = found @ twice
        return scores.sub_(energy.sum())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, energy = ctx.saved_tensors
        d_queries, d_keys, d_energy = map(torch.zeros_like, (queries, keys, energy))
        for rows, places, found in _sigmoids(queries, keys):
            given = gradient[rows, places, :, None]
            d_energy.addmv_(found.flatten(0, 2).t(), given.flatten())
            slopes = found.addcmul_(found, found, value=-1).mul_(given)
            d_queries[rows, places] = slopes.sum(2)
            d_keys[rows] += slopes.sum(1)
        slope = energy * 4
        return d_queries.mul_(slope), d_keys.mul_(slope), d_energy.mul_(2).sub_(gradient.sum())


def _sigmoids(queries: Tensor, keys: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Of twice the sums of queries and keys: of some sentences at a time; of long ones, of some
    queries. Which these are, and their values, which are gone with the next ones."""
    (batch, count, width), time = queries.shape, keys.shape[1]
    pairs = max(1, _IN_CACHE // width)
    size = max(1, min(count, pairs // max(1, time)))
    rows = max(1, pairs // max(1, size * time))
    room = queries.new_empty(min(rows, batch) * size * time * width)
    for row, place in product(range(0, batch, rows), range(0, count, size)):
        there = slice(row, row + rows), slice(place, place + size)
        asked, seen = queries[there][:, :, None], keys[there[0], None]
        shape = torch.broadcast_shapes(asked.shape, seen.shape)
        sums = torch.add(asked, seen, out=room[: math.prod(shape)].view(shape))
        yield *there, sums.mul_(2).sigmoid_()
