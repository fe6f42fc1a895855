"""What models with a recurrent decoder share, whatever they read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .decoder_steps import DecoderSteps, make_decoder_steps
from .recurrent_decoder import DecoderState, RecurrentDecoder
from .seq2seq import Seq2Seq, Written, select_memories


class RecurrentWriter(Seq2Seq):
    """Writes with a `RecurrentDecoder`, which subclasses make.

    label_smoothing (float), pad (int): As for every `Seq2Seq`.
    """

    decoder: RecurrentDecoder

    def __init__(self, label_smoothing: float, pad: int):
        super().__init__(label_smoothing, pad)
        self._steps: DecoderSteps | None = None

    def train(self, mode: bool = True) -> "RecurrentWriter":
        if mode:
            self._steps = None  # made from the weights, which are about to change
        super().train(mode)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_steps": None}

    def write(self, state: DecoderState, ids: Tensor, wants_weights: bool = False) -> Written:
        return self.decoder(state, ids)

    def logits(self, states: Tensor) -> Tensor:
        return self.decoder.logits(states)

    def loss(self, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder.loss(states, targets, self.label_smoothing)

    def stepper(self) -> tuple[Any, Callable[[Any], Any]]:
        if self._steps is None:
            self._steps = make_decoder_steps(self.decoder)
        return super().stepper() if self._steps is None else (self._steps, self._steps.prepare)

    @staticmethod
    def select(state: DecoderState, rows: np.ndarray) -> DecoderState:
        index = torch.from_numpy(rows).to(state.hidden[0].device)
        hidden = tuple(item.index_select(0, index) for item in state.hidden)
        feed = None if state.feed is None else state.feed.index_select(0, index)
        memory = state.memory
        if memory is not None:
            (memory,) = select_memories([memory], rows, len(state.hidden[0]))
        evidence = None if state.evidence is None else state.evidence.index_select(0, index)
        return DecoderState(hidden, feed, memory, evidence)
