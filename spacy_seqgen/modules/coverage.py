"""What a decoder has looked at so far, for the coverage penalty of beam search."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .seq2seq import Seq2Seq

State = tuple[Any, Tensor]


class CoverageSteps:
    """The steps of an encoder-decoder with attention, with the attention added up. States
    are those of the model, and what each symbol of the source got: shape (hypotheses,
    source time).

    net (Seq2Seq): The model.
    """

    def __init__(self, net: Seq2Seq):
        self.net = net

    def start(self, state: Any, source: Tensor, weights: Tensor | None = None) -> State:
        """
        state (Any): The model's.
        source (Tensor): Shape (sentences, time), int64, padded at the end.
        weights (Tensor | None): Shape (sentences, symbols, time): the attention of what is
            written already.
        """
        seen = (source == self.net.pad).float()  # padding needs no attention
        return state, seen if weights is None else seen + weights.float().sum(1)

    def step(self, state: State, ids: Any) -> tuple[Tensor, State]:
        inner, seen = state
        tensor = torch.as_tensor(ids, device=seen.device)[:, None]
        written = self.net.write(inner, tensor, wants_weights=True)
        assert written.weights is not None, "the model has no attention"
        seen = seen + written.weights[:, -1].float()
        return self.net.logits(written.states)[:, -1].float(), (written.state, seen)

    def select(self, state: State, rows: np.ndarray) -> State:
        inner, seen = state
        return self.net.select(inner, rows), seen[torch.from_numpy(rows).to(seen.device)]

    @staticmethod
    def penalty(state: State) -> Tensor:
        """Shape (hypotheses,): the sum of log(min(attention, 1)) over the source (Wu et
        al. 2016, equation 14, https://arxiv.org/abs/1609.08144)."""
        return state[1].clamp(1e-9, 1.0).log().sum(1)
