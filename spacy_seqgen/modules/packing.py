"""Sequences of different length without padding."""

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# Where sequences of unlike length must be padded, they are cut into parts with at most this
# share of padding, but no smaller than so many sequences.
_PADDING, _ROWS = 0.25, 4


class Part(NamedTuple):
    """Some of the sequences: where they are among all, and how they are packed.

    rows (slice): Of the matrix.
    sequences (slice): Of the sequences.
    packing (Packing): By themselves.
    """

    rows: slice
    sequences: slice
    packing: "Packing"


class Packing:
    """How sequences lie one behind the other in one matrix, and where each of its rows
    stands in a padded one. Layers that see one position at a time are computed on the
    former, so that padding costs nothing; attention sees the latter.

    lengths (Sequence[int]): The length of each sequence, 1 or more.
    device (torch.device): Where the matrix is.
    """

    def __init__(self, lengths: Sequence[int], device: torch.device):
        sizes = np.asarray(lengths, dtype=np.int64)
        self.count, self.width = len(sizes), int(sizes.max())
        self.total = int(sizes.sum())
        owner = np.repeat(np.arange(self.count), sizes)
        starts = np.cumsum(sizes) - sizes
        columns = np.arange(self.total) - starts[owner]
        self.lengths = torch.from_numpy(sizes).to(device)
        self.owner = torch.from_numpy(owner).to(device)
        self.starts = torch.from_numpy(starts).to(device)
        self.columns = torch.from_numpy(columns).to(device)
        self.places = self.owner * self.width + self.columns
        self.is_full = self.total == self.count * self.width
        # (sequences, width), true where something is.
        self.mask = torch.arange(self.width, device=device) < self.lengths[:, None]

    @functools.cached_property
    def parts(self) -> list[Part]:
        """Parts with little padding, in order; sort the sequences by length to have few."""
        return self._cut(_PADDING, _ROWS)

    @functools.cached_property
    def even_parts(self) -> list[Part]:
        """Parts of sequences of the same length, in order."""
        return self._cut(0.0, 1)

    def _cut(self, padding: float, rows: int) -> list[Part]:
        sizes = self.lengths.tolist()
        bounds = [0]
        widest = real = 0
        for number, size in enumerate(sizes):
            count = number - bounds[-1]
            padded = (count + 1) * max(widest, size)
            if count >= rows and padded > (1 + padding) * (real + size):
                bounds.append(number)
                widest = real = 0
            widest, real = max(widest, size), real + size
        if len(bounds) == 1:
            return [Part(slice(None), slice(None), self)]
        ends = np.concatenate([[0], np.cumsum(sizes)])
        return [
            Part(
                slice(int(ends[first]), int(ends[last])),
                slice(first, last),
                Packing(sizes[first:last], self.lengths.device),
            )
            for first, last in pairwise([*bounds, self.count])
        ]

    def pad(self, rows: Tensor, value: float = 0.0) -> Tensor:
        """(total, size) to (sequences, width, size)."""
        if self.is_full:
            return rows.view(self.count, self.width, -1)
        padded = rows.new_full((self.count * self.width, rows.shape[1]), value)
        return padded.index_copy(0, self.places, rows).view(self.count, self.width, -1)

    def unpad(self, padded: Tensor) -> Tensor:
        """(sequences, width, size) to (total, size)."""
        flat = padded.reshape(self.count * self.width, -1)
        return flat if self.is_full else _Take.apply(flat, self.places)

    def softmax(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of shape (total,) as shares within each sequence, and the logarithms of
        the sums they were divided by, shape (sequences,)."""
        padded = self.pad(scores[:, None], float("-inf"))[:, :, 0]
        sums = padded.logsumexp(1)
        return (scores - sums[self.owner]).exp(), sums

    def sum(self, rows: Tensor) -> Tensor:
        """(total, size) to the sums of each sequence, (sequences, size)."""
        sums = rows.new_zeros(self.count, rows.shape[1])
        return sums.index_add(0, self.owner, rows)


class _Take(torch.autograd.Function):
    """Rows at distinct places. The backward pass of `index_select` has to add, because
    it can't know that they are distinct, and takes several times as long."""

    @staticmethod
    def forward(ctx, flat: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.count = len(flat)
        return flat.index_select(0, places)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (places,) = ctx.saved_tensors
        flat = gradient.new_zeros(ctx.count, gradient.shape[1])
        return flat.index_copy_(0, places, gradient), None
