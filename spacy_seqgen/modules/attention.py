"""Attention: where to look among the states of an encoder.

The three ways to score a query against a key that the literature compares:

- additive: v . tanh(W query + U key) (Bahdanau et al. 2015,
  https://arxiv.org/abs/1409.0473);
- dot: query . key, and general: query . W key (Luong et al. 2015,
  https://arxiv.org/abs/1508.04025).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .additive import additive_scores
from .linear import Linear

_MAX_HIDDEN = 2**24  # values computed at once: 64 MB


class Places(NamedTuple):
    """Whose hypotheses are whose, where some sentences have more of them than others.

    owners (np.ndarray): Shape (hypotheses,), int64: the sentence of each, in order.
    slots (Tensor): Shape (hypotheses,): where each is among sentences * most.
    most (int): Hypotheses of the sentence that has the most.
    """

    owners: np.ndarray
    slots: Tensor
    most: int


def find_places(counts: np.ndarray, device: torch.device) -> Places:
    """Those of so many hypotheses of each sentence: shape (sentences,), int64."""
    most, firsts = int(counts.max()), counts.cumsum() - counts
    owners = np.arange(len(counts)).repeat(counts)
    slots = owners * most + np.arange(len(owners)) - firsts[owners]
    return Places(owners, torch.from_numpy(slots).to(device), most)


class Memory(NamedTuple):
    """What a decoder attends to. The keys do not change while a sentence is decoded, so
    they are computed once for each. All hypotheses of a sentence attend to the same.

    values (Tensor): Shape (batch, time, width): the states of the encoder.
    keys (Tensor): Shape (batch, time, key width).
    mask (Tensor): Shape (batch, time), bool: true where there is a symbol.
    places (Places | None): None where each sentence has as many hypotheses as any other.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor
    places: Places | None = None

    def select(self, rows: Tensor) -> "Memory":
        """Some of the sentences, each with as many hypotheses as any other."""
        values, keys, mask = (item.index_select(0, rows) for item in self[:3])
        return Memory(values, keys, mask)

    def by_sentence(self, queries: Tensor) -> Tensor:
        """(hypotheses, time, width) to (sentences, hypotheses of each * time, width); zeros
        where a sentence has fewer."""
        if self.places is not None:
            room = len(self.keys) * self.places.most, *queries.shape[1:]
            queries = queries.new_zeros(room).index_copy_(0, self.places.slots, queries)
        return queries.reshape(len(self.keys), -1, queries.shape[-1])

    def by_hypothesis(self, found: Tensor, time: int) -> Tensor:
        """What was found for such queries: (hypotheses, time, any width)."""
        found = found.reshape(-1, time, found.shape[-1])
        return found if self.places is None else found.index_select(0, self.places.slots)


class Attention(nn.Module):
    """
    width (int): Width of what is attended to.
    query_width (int): Width of what asks.
    """

    def make_keys(self, values: Tensor) -> Tensor:
        """(batch, time, width) to (batch, time, key width)."""
        raise NotImplementedError

    def score(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(batch, queries, query width) and (batch, time, key width) to (batch, queries,
        time): the higher, the more relevant."""
        raise NotImplementedError

    def remember(self, values: Tensor, mask: Tensor) -> Memory:
        """Prepare what is attended to."""
        return Memory(values, self.make_keys(values), mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """
        queries (Tensor): Shape (batch, queries, query width). In beam search, zeros make up for
            the hypotheses that a sentence has less than another.
        memory (Memory): Of the same batch.
        RETURNS (tuple[Tensor, Tensor]): For each query the mean of the values, weighted:
            shape (batch, queries, width); and the weights, (batch, queries, time), which
            add up to 1 and are 0 outside the mask.
        """
        scores = self.score(queries, memory.keys)
        scores = scores.masked_fill(~memory.mask[:, None], float("-inf"))
        weights = scores.softmax(-1)
        return weights @ memory.values, weights


class AdditiveAttention(Attention):
    """Bahdanau et al. (2015), appendix A.1.2."""

    def __init__(self, width: int, query_width: int):
        super().__init__()
        self.query = nn.Linear(query_width, query_width, bias=False)
        self.key = Linear(width, query_width)
        self.energy = nn.Linear(query_width, 1, bias=False)

    def make_keys(self, values: Tensor) -> Tensor:
        return self.key(values)

    def score(self, queries: Tensor, keys: Tensor) -> Tensor:
        queries = self.query(queries)
        if queries.device.type == "cpu":
            return additive_scores(queries, keys, self.energy.weight[0])
        if torch.is_grad_enabled():
            return self._energies(queries, keys)
        return in_parts(self._energies, queries, keys)

    def _energies(self, queries: Tensor, keys: Tensor) -> Tensor:
        hidden = torch.tanh(queries[:, :, None] + keys[:, None])
        return self.energy(hidden).squeeze(-1)


def in_parts(score: Callable[..., Tensor], queries: Tensor, keys: Tensor) -> Tensor:
    """Score queries, some at a time: without gradients nothing is kept, so that not all has
    to be there at once.

    score (Callable): Makes a value of the width of a key for each pair of query and key.
    queries (Tensor), keys (Tensor): As for `Attention.score`.
    """
    size = queries_at_once(keys)
    if queries.shape[1] <= size:
        return score(queries, keys)
    return torch.cat([score(part, keys) for part in queries.split(size, 1)], 1)


def queries_at_once(keys: Tensor) -> int:
    """How many queries to all of these keys may be scored together."""
    return max(1, _MAX_HIDDEN // max(1, keys.numel()))


class GeneralAttention(Attention):
    """Luong et al. (2015), equation 8, "general"."""

    def __init__(self, width: int, query_width: int):
        super().__init__()
        self.key: nn.Module = Linear(width, query_width, bias=False)

    def make_keys(self, values: Tensor) -> Tensor:
        return self.key(values)

    def score(self, queries: Tensor, keys: Tensor) -> Tensor:
        return queries @ keys.transpose(1, 2)


class DotAttention(GeneralAttention):
    """Luong et al. (2015), equation 8, "dot". States of another width than the query are
    projected to it first, which the dot product cannot do without."""

    def __init__(self, width: int, query_width: int):
        super().__init__(width, query_width)
        if width == query_width:
            self.key = nn.Identity()


ATTENTIONS: dict[str, type[Attention]] = {
    "additive": AdditiveAttention,
    "dot": DotAttention,
    "general": GeneralAttention,
}

# Given the width of what is attended to and that of what asks, makes a module: a subclass of
# `Attention`, or a function.
AttentionMaker = Callable[[int, int], Attention]


def find_attention(attention: str | AttentionMaker) -> AttentionMaker | None:
    """What makes the attention of a decoder.

    attention (str | AttentionMaker): "additive", "dot", "general", "none", or the maker.
    RETURNS (AttentionMaker | None): None for "none".
    RAISES (ValueError): If there is no attention of that name.
    """
    if callable(attention):
        return attention
    if attention == "none":
        return None
    if attention not in ATTENTIONS:
        known = [*sorted(ATTENTIONS), "none"]
        raise ValueError(
            f"attention must be one of {known}, or a block with one of your own, got {attention!r}"
        )
    return ATTENTIONS[attention]
