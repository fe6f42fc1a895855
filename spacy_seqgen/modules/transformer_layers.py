"""The layers of a transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762),
with the norm before each sub-layer (Xiong et al. 2020, https://arxiv.org/abs/2002.04745)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Memory
from .dropout import Dropout
from .linear import Linear
from .positions import rotate

_MAX_WEIGHTS = 2**22  # of attention kept for each layer: 16 MB


class Cache(NamedTuple):
    """Keys and values of what one layer has written, each of shape (batch, heads, time,
    head width)."""

    keys: Tensor
    values: Tensor


class MultiHeadAttention(nn.Module):
    """
    width (int): Of queries, keys and values, all heads together.
    heads (int): How many there are.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = Linear(width, width)
        self.keys_values = Linear(width, 2 * width)
        self.output = Linear(width, width)
        for linear in (self.query, self.keys_values, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def remember(self, states: Tensor, turn: Tensor | None = None) -> Cache:
        """Keys and values of (batch, time, width).

        turn (Tensor | None): Where they stand: see `positions.rotation`.
        """
        keys, values = self.keys_values(states).chunk(2, -1)
        return Cache(self._by_head(keys, turn), self._by_head(values))

    def forward(
        self,
        states: Tensor,
        seen: Cache,
        mask: Tensor | None,
        causal: bool,
        turn: Tensor | None = None,
    ) -> Tensor:
        """
        states (Tensor): Shape (batch, queries, width).
        seen (Cache): What is attended to.
        mask (Tensor | None): Shape (batch, 1, 1, time), bool: true where there is a symbol.
        causal (bool): A query attends to places up to its own only, the last one to all; takes
            the place of a mask.
        turn (Tensor | None): Where the queries stand: see `positions.rotation`.
        RETURNS (Tensor): Shape (batch, queries, width).
        """
        queries = self._by_head(self.query(states), turn)
        found = attend(queries, seen, mask, causal)
        return self.output(found.transpose(1, 2).flatten(2))

    def weights(self, states: Tensor, seen: Cache, mask: Tensor) -> Tensor:
        """Where queries look, the mean of all heads: shape (batch, queries, time)."""
        queries = self._by_head(self.query(states))
        scores = queries @ seen.keys.transpose(2, 3) / math.sqrt(queries.shape[-1])
        return scores.masked_fill(~mask, float("-inf")).softmax(-1).mean(1)

    def _by_head(self, states: Tensor, turn: Tensor | None = None) -> Tensor:
        return rotate(states.unflatten(-1, (self.heads, -1)), turn).transpose(1, 2)


def attend(queries: Tensor, seen: Cache, mask: Tensor | None, causal: bool) -> Tensor:
    """Scaled dot-product attention: queries of shape (batch, heads, queries, head width), the
    rest as for `MultiHeadAttention`, to the shape of the queries.

    PyTorch's own function is used but where a CPU has to learn: there, its backward pass takes
    ten times as long in bfloat16 as these lines do in float32. These keep all weights, though,
    for which very long sentences have no room.
    """
    asked, there = queries.shape[2], seen.keys.shape[2]
    if causal and asked != there:  # PyTorch takes the first query's place for the first
        before = torch.ones(asked, there, dtype=torch.bool, device=queries.device)
        mask, causal = before.tril(there - asked), False
    weights = queries.shape[:-1].numel() * there
    learns = queries.device.type == "cpu" and torch.is_grad_enabled()
    if not learns or weights > _MAX_WEIGHTS:
        return F.scaled_dot_product_attention(queries, *seen, attn_mask=mask, is_causal=causal)
    with torch.autocast("cpu", enabled=False):
        keys, values = seen.keys.float(), seen.values.float()
        scores = (queries.float() / math.sqrt(queries.shape[-1])) @ keys.transpose(2, 3)
        if causal:
            mask = torch.ones(scores.shape[2:], dtype=torch.bool).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(-1) @ values


class FeedForward(nn.Sequential):
    """Two layers at each place, by themselves."""

    def __init__(self, width: int, inner: int):
        super().__init__(Linear(width, inner), nn.ReLU(), Linear(inner, width))


class EncoderLayer(nn.Module):
    """
    width (int), heads (int), inner (int): Of states, of heads, of the feed-forward part.
    """

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.dropout = Dropout(0.0)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = MultiHeadAttention(width, heads)
        self.feed_forward = FeedForward(width, inner)

    def forward(self, states: Tensor, mask: Tensor, turn: Tensor | None = None) -> Tensor:
        """(batch, time, width), (batch, 1, 1, time) to (batch, time, width); `turn` as of
        `MultiHeadAttention`."""
        normed = self.norms[0](states)
        seen = self.attention.remember(normed, turn)
        found = self.attention(normed, seen, mask, False, turn)
        states = states + self.dropout(found)
        return states + self.dropout(self.feed_forward(self.norms[1](states)))


class DecoderLayer(nn.Module):
    """
    width (int), heads (int), inner (int): As for the encoder.
    """

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.dropout = Dropout(0.0)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = MultiHeadAttention(width, heads)
        self.other = MultiHeadAttention(width, heads)
        self.feed_forward = FeedForward(width, inner)

    def remember(self, states: Tensor, mask: Tensor) -> Memory:
        """What this layer attends to of (batch, time, width): keys and values, by head."""
        keys, values = self.other.remember(states)
        return Memory(values, keys, mask)

    def forward(
        self,
        states: Tensor,
        past: Cache | None,
        memory: Memory,
        wants_weights: bool,
        turn: Tensor | None,
    ) -> tuple[Tensor, Cache, Tensor | None]:
        """
        states (Tensor): Shape (hypotheses, time, width).
        past (Cache | None): What was written before.
        memory (Memory): Of this layer: keys and values of what was read, by head.
        wants_weights (bool): Whether to tell where it looked.
        turn (Tensor | None): As of `MultiHeadAttention`.
        RETURNS (tuple): States, what was written so far, and, shape (hypotheses, time,
            source time), where it looked.
        """
        normed = self.norms[0](states)
        written = self.own.remember(normed, turn)
        if past is not None:
            written = Cache(*(torch.cat(pair, 2) for pair in zip(past, written, strict=True)))
        found = self.own(normed, written, None, states.shape[1] > 1, turn)
        states = states + self.dropout(found)
        # The hypotheses of a sentence are queries to the same memory.
        queries, time = memory.by_sentence(self.norms[1](states)), states.shape[1]
        seen, mask = Cache(memory.keys, memory.values), memory.mask[:, None, None]
        found = memory.by_hypothesis(self.other(queries, seen, mask, False), time)
        weights = None
        if wants_weights:
            weights = memory.by_hypothesis(self.other.weights(queries, seen, mask), time)
        states = states + self.dropout(found)
        states = states + self.dropout(self.feed_forward(self.norms[2](states)))
        return states, written, weights
