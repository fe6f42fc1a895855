"""A recurrent language model: embedding -> LSTM or GRU -> softmax over the next symbol
(Mikolov et al. 2010; Graves 2013, https://arxiv.org/abs/1308.0850; Chollet 2018,
section 8.1)."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .recurrent_steps import RecurrentSteps, make_recurrent_steps

# Hidden states, batch first, so that rows can be selected like those of anything else:
# (h, c) for an LSTM and (h,) for a GRU, each of shape (batch, layers, hidden).
State = tuple[Tensor, ...]

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class Reading(NamedTuple):
    """What a language model makes of a text it is given.

    nll (Tensor): Shape (batch, time): negative log-likelihood of each target, in nats;
        0 where the target is padding.
    correct (Tensor): Shape (batch, time), bool: the target was the most probable symbol.
    state (State): After the last symbol of each row.
    """

    nll: Tensor
    correct: Tensor
    state: State


class RecurrentLM(nn.Module):
    """
    vocabulary_size (int): Number of symbols.
    embedding_size (int): Width of the embeddings.
    hidden_size (int): Width of the recurrent layers.
    num_layers (int): Number of recurrent layers.
    cell (str): "lstm" or "gru".
    dropout (float): Share of values dropped after the embeddings, between the recurrent
        layers and before the softmax (Zaremba et al. 2014,
        https://arxiv.org/abs/1409.2329).
    tied (bool): Use the embeddings as weights of the softmax (Press and Wolf 2017,
        https://arxiv.org/abs/1608.05859), after a projection if the widths differ.
    pad (int): The symbol that is not learned.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        tied: bool = False,
        pad: int = 0,
    ):
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {sorted(CELLS)}, got {cell!r}")
        self.cell = cell
        self.pad = pad
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=pad)
        self.rnn = CELLS[cell](embedding_size, hidden_size, num_layers)
        self.dropout = nn.Dropout(0.0)
        self.projection: nn.Module = nn.Identity()
        if tied and embedding_size != hidden_size:
            self.projection = nn.Linear(hidden_size, embedding_size, bias=False)
        self.output = nn.Linear(embedding_size if tied else hidden_size, vocabulary_size)
        if tied:
            # Unit-normal embeddings would make a softmax that starts far too sure.
            nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)
            self.output.weight = self.embedding.weight
            with torch.no_grad():
                self.embedding.weight[pad].zero_()
        self.set_dropout(dropout)
        self._steps: RecurrentSteps | None = None

    def set_dropout(self, rate: float) -> None:
        if rate != self.dropout.p:  # before each update, so cheap if nothing changes
            self.dropout.p = rate
            self.rnn.dropout = rate if self.rnn.num_layers > 1 else 0.0

    def train(self, mode: bool = True) -> "RecurrentLM":
        if mode:
            self._steps = None  # made from the weights, which are about to change
        return super().train(mode)

    def start(self, batch: int) -> State:
        """The state before the first symbol: zeros."""
        shape = batch, self.rnn.num_layers, self.rnn.hidden_size
        zeros = self.embedding.weight.new_zeros(shape)
        return (zeros, zeros.clone()) if self.cell == "lstm" else (zeros,)

    def forward(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """Losses for training.

        inputs, targets (Tensor): Shape (batch, time), int64, padded at the end.
        state (State): Where each row begins.
        RETURNS (tuple[Tensor, State]): The negative log-likelihood of each row, in nats:
            shape (batch,). And the state after the last column, detached.
        """
        hidden, new_state = self._recur(inputs, state)
        nll = self._nll(self._logits(self.dropout(hidden)), targets)
        return nll.sum(1), tuple(item.detach() for item in new_state)

    def read(self, inputs: Tensor, targets: Tensor, lengths: Tensor, state: State) -> Reading:
        """Score texts that are given.

        inputs, targets (Tensor): Shape (batch, time), int64, padded at the end.
        lengths (Tensor): Shape (batch,), int64, on the CPU; at least 1 each.
        state (State): Where each row begins.
        """
        hidden, new_state = self._recur(inputs, state, lengths)
        logits = self._logits(hidden)
        correct = logits.argmax(-1).t() == targets
        return Reading(self._nll(logits, targets), correct, new_state)

    def step(self, state: State, ids: Tensor | np.ndarray) -> tuple[Tensor, State]:
        """One symbol a row: ids of shape (batch,) to logits of shape (batch, symbols)."""
        inputs = torch.as_tensor(ids, device=self.embedding.weight.device)[:, None]
        hidden, new_state = self._recur(inputs, state)
        return self._logits(hidden)[0].float(), new_state

    def stepper(self) -> tuple[Callable, Callable]:
        """The fastest way to generate: (step function, function that prepares a state)."""
        if self._steps is None:
            self._steps = make_recurrent_steps(self)
        if self._steps is None:
            return self.step, lambda state: state
        steps = copy.copy(self._steps)  # room of its own: there may be several at a time
        return steps.step, steps.prepare

    def _recur(
        self, inputs: Tensor, state: State, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The recurrent layers: (batch, time) to (time, batch, hidden)."""
        embedded = self.dropout(self.embedding(inputs.t()))
        layers = tuple(item.transpose(0, 1).contiguous() for item in state)
        first = layers if self.cell == "lstm" else layers[0]
        if inputs.is_cuda:
            self.rnn.flatten_parameters()
        if lengths is None or bool((lengths == inputs.shape[1]).all()):
            hidden, last = self.rnn(embedded, first)
        else:
            packed = pack_padded_sequence(embedded, lengths, enforce_sorted=False)
            packed, last = self.rnn(packed, first)
            hidden, _ = pad_packed_sequence(packed, total_length=inputs.shape[1])
        last = last if self.cell == "lstm" else (last,)
        return hidden, tuple(item.transpose(0, 1).contiguous() for item in last)

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.output(self.projection(hidden))

    def _nll(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(time, batch, symbols) and (batch, time) to (batch, time)."""
        flat = F.cross_entropy(
            logits.flatten(0, 1).float(),
            targets.t().flatten(),
            ignore_index=self.pad,
            reduction="none",
        )
        return flat.view(logits.shape[:2]).t()
