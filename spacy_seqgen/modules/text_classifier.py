"""Text classification with a pre-trained encoder."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..lengths import by_padded_size
from .classifier_head import ClassifierHead
from .packing import Packing
from .pretrained_encoder import PretrainedEncoder

# Positions that predictions on a CPU compute at a time: more is no faster, but takes memory.
_AT_ONCE = 1024


class TextClassifier(nn.Module):
    """An encoder, of which the lower part may be frozen, and a head.

    encoder (PretrainedEncoder): The encoder.
    head (ClassifierHead): The head.
    batch_size (int): Most positions to compute at a time, padding included. Above that,
        memory is saved by computing activations a second time for the gradients.
    learn_rate (float): The encoder's, as a multiple of the optimizer's.
    layer_decay (float): The same of each layer, as a multiple of that of the layer above
        it (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.2).
    cache (Any): What the frozen part computes in training is looked up here, if it is
        not None: a mapping from bytes to arrays that may decline to keep one.
    """

    def __init__(
        self,
        encoder: PretrainedEncoder,
        head: ClassifierHead,
        *,
        batch_size: int,
        learn_rate: float = 1.0,
        layer_decay: float = 1.0,
        cache: Any = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.batch_size = batch_size
        self.learn_rate = learn_rate
        self.layer_decay = layer_decay
        self.cache = cache
        self.frozen = 0

    def forward(self, windows: Sequence[np.ndarray], counts: Sequence[int]) -> tuple[Tensor]:
        """
        windows (Sequence[np.ndarray]): Ids of each window of the texts, int64.
        counts (Sequence[int]): How many windows each text has, 1 or more.
        RETURNS (tuple[Tensor]): Logits, shape (texts, classes).
        """
        groups = self._groups(windows)
        pooled = [self._pool([windows[i] for i in group], len(groups) > 1) for group in groups]
        return (self._classify(groups, pooled, counts),)

    def _groups(self, windows: Sequence[np.ndarray]) -> list[list[int]]:
        size = self.batch_size
        if self._device.type == "cpu" and not torch.is_grad_enabled():
            size = min(size, _AT_ONCE)
        return list(by_padded_size([len(window) for window in windows], size))

    def _classify(
        self,
        groups: list[list[int]],
        pooled: Sequence[tuple[Tensor, Tensor]],
        counts: Sequence[int],
    ) -> Tensor:
        """Logits of the texts from the vectors and weights of the groups of windows."""
        vectors, weights = (torch.cat(parts) for parts in zip(*pooled, strict=True))
        back = torch.from_numpy(np.argsort(np.concatenate(groups))).to(vectors.device)
        joined = self.head.join(vectors[back], weights[back], Packing(counts, vectors.device))
        return self.head(joined)

    def _ids(self, windows: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(windows)).to(self._device)

    def _pool(self, windows: list[np.ndarray], is_one_of_many: bool) -> tuple[Tensor, Tensor]:
        packing = Packing([len(window) for window in windows], self._device)
        keeps = self.training and self.cache is not None and self._start is not None
        states = self._cached(windows) if keeps else self._below(windows, packing)
        if self._pools_below:
            return states, self._weights(packing)
        above: Callable = self._above
        if is_one_of_many and torch.is_grad_enabled():
            return checkpoint(above, states, packing, use_reentrant=False)
        return above(states, packing)

    # Explanations

    def gradients(self, windows: Sequence[np.ndarray], number: int) -> np.ndarray:
        """The gradient of the logit of a class times the input, for each piece of the
        windows of one text, shape (pieces,)."""

        def above(states: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
            states = self._run(states, packing, 0, len(self.encoder.layers))
            return self.head.pool(states, packing)

        groups = self._groups(windows)
        inputs, pooled = [], []
        for group in groups:
            packing, embedded = self._embed([windows[i] for i in group])
            inputs.append(embedded.detach().requires_grad_())
            pooled.append(checkpoint(above, inputs[-1], packing, use_reentrant=False))
        logits = self._classify(groups, pooled, [len(windows)])
        found = torch.autograd.grad(logits[0, number], inputs)
        rows = [(item * slope).detach().sum(1) for item, slope in zip(inputs, found, strict=True)]
        return _in_order(groups, windows, rows)

    def attention(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        """The weight of each piece of the windows of one text, for pooling "attention"."""
        groups = self._groups(windows)
        energies = []
        for group in groups:
            packing, embedded = self._embed([windows[i] for i in group])
            states = self._run(embedded, packing, 0, len(self.encoder.layers))
            energies.append(self.head.energies(states))
        shares = torch.cat(energies).softmax(0)
        return _in_order(groups, windows, torch.split(shares, [len(e) for e in energies]))

    def _embed(self, windows: list[np.ndarray]) -> tuple[Packing, Tensor]:
        packing = Packing([len(window) for window in windows], self._device)
        return packing, self.encoder.embed(self._ids(windows), packing)

    # The frozen part

    def freeze(self, parts: int) -> None:
        """Freeze the lower parts: 0 for none, 1 for the embeddings, one more for each
        layer above them. They are computed without dropout, once for each text if there
        is a cache."""
        if parts == self.frozen:
            return
        self.frozen = parts
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad_(self.encoder.layer_of(name) + 1 >= parts)
        if self.cache is not None:
            self.cache.clear()
        self.train(self.training)

    def train(self, mode: bool = True) -> "TextClassifier":
        super().train(mode)
        if self.frozen:
            for part in self.encoder.below(self.frozen - 1):
                part.training = False
        return self

    @property
    def _start(self) -> int | None:
        """The first layer to compute with gradients; None if that begins before the layers."""
        is_whole = self.frozen > len(self.encoder.layers)
        return self.frozen - 1 if self.frozen and (self.encoder.can_split or is_whole) else None

    @property
    def _pools_below(self) -> bool:
        """Whether the vectors of the windows are all that is needed of the frozen part."""
        return self.frozen > len(self.encoder.layers) and self.head.query is None

    @property
    def _device(self) -> torch.device:
        return self.head.output.weight.device

    def _below(self, windows: list[np.ndarray], packing: Packing) -> Tensor:
        """What the part without gradients computes: states, or the pooled vectors; with
        nothing frozen, the ids."""
        ids = self._ids(windows)
        if self._start is None:
            return ids
        with torch.no_grad():
            states = self._run(self.encoder.embed(ids, packing), packing, 0, self._start)
            return self.head.pool(states, packing)[0] if self._pools_below else states

    def _above(self, states: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        start = self._start
        if start is None:
            states, start = self.encoder.embed(states, packing), 0
        states = self._run(states, packing, start, len(self.encoder.layers))
        return self.head.pool(states, packing)

    def _run(self, states: Tensor, packing: Packing, start: int, stop: int) -> Tensor:
        if start == stop:
            return states
        first_only = self.head.pooling == "cls" and stop == len(self.encoder.layers)
        return self.encoder.run(states, packing, start, stop, first_only)

    def _weights(self, packing: Packing) -> Tensor:
        even = torch.zeros(packing.count, device=self._device)
        return packing.lengths.log() if self.head.pooling == "mean" else even

    def _cached(self, windows: list[np.ndarray]) -> Tensor:
        """The same as `_below`, of which only what is not in the cache is computed."""
        parts = [self.cache.get(window.tobytes()) for window in windows]
        missing = [number for number, part in enumerate(parts) if part is None]
        if missing:
            packing = Packing([len(windows[i]) for i in missing], self._device)
            rows = self._below([windows[i] for i in missing], packing).float().cpu().numpy()
            ends = packing.lengths.cumsum(0).cpu().numpy()
            found = np.split(rows, np.arange(1, len(rows)) if self._pools_below else ends[:-1])
            for number, part in zip(missing, found, strict=True):
                parts[number] = part
                self.cache.put(windows[number].tobytes(), part)
        return torch.from_numpy(np.concatenate(parts)).to(self._device)

    # For the bridge

    def weights_replaced(self) -> None:
        """Let go of what the frozen part computed with other weights."""
        if self.cache is not None:
            self.cache.clear()

    def set_dropout(self, rate: float) -> None:
        self.head.set_dropout(rate)

    def learn_rate_factors(self) -> dict[str, float]:
        """By what the learning rate is multiplied for each parameter that does not take it
        as it is."""
        top = len(self.encoder.layers) - 1
        return {
            f"encoder.{name}": self.learn_rate
            * self.layer_decay ** (top - self.encoder.layer_of(name))
            for name, _ in self.encoder.named_parameters()
        }


def _in_order(
    groups: list[list[int]], windows: Sequence[np.ndarray], values: Sequence[Tensor]
) -> np.ndarray:
    """Values of the pieces of all groups, as the windows come in the text."""
    order = np.concatenate(groups)
    ends = np.cumsum([len(windows[i]) for i in order])[:-1]
    parts = np.split(torch.cat(list(values)).cpu().numpy(), ends)
    return np.concatenate([parts[i] for i in np.argsort(order)])


class VectorClassifier(nn.Module):
    """The head alone, on states that were computed elsewhere.

    head (ClassifierHead): The head.
    """

    def __init__(self, head: ClassifierHead):
        super().__init__()
        self.head = head

    def forward(self, states: Tensor, packing: Packing) -> tuple[Tensor]:
        """States of the tokens of all texts, (total, width), to logits, (texts, classes)."""
        return (self.head(self.head.pool(states, packing)[0]),)

    def gradients(self, states: Tensor, number: int) -> Tensor:
        """The gradient of the logit of a class times the states of one text, (tokens,)."""
        with torch.enable_grad():
            states = states.requires_grad_()
            (logits,) = self(states, Packing([len(states)], states.device))
            (slope,) = torch.autograd.grad(logits[0, number], states)
        return (states * slope).sum(1)

    def attention(self, states: Tensor) -> Tensor:
        """The weight of each token of one text, for pooling "attention"."""
        return self.head.energies(states).softmax(0)

    def set_dropout(self, rate: float) -> None:
        self.head.set_dropout(rate)
