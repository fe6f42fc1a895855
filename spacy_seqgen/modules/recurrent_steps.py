"""Generating with a recurrent model on a CPU, one symbol at a time.

A step of `nn.LSTM` on a sequence of length 1 costs many times its arithmetic. Here

- `embedding @ W_ih + bias` is a table made once, with a row for each symbol;
- each layer has one matrix product: its hidden state times [its recurrent weights, the
  weights of the layer above], the softmax being the last layer;
- arrays are allocated once and shared by NumPy, which has the smaller overhead for a
  call, and PyTorch, which has the faster sigmoid and, for many rows, matrix product.

An LSTM with many rows goes another way: see `lstm_block`. The arithmetic is that of
`nn.LSTM` and `nn.GRU` to rounding errors.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import nn

from .lstm_block import BlockWeights, Steps, bind_block

_MAX_TABLE = 2**24  # values in the table of the first layer: 64 MB
_FEW_ROWS = 4  # up to here a call costs more than its arithmetic

Arrays = tuple[np.ndarray, ...]


class RecurrentSteps:
    """Step function for a recurrent language model whose weights do not change.

    A state is a tuple with two arrays of shape (rows, hidden) for each layer: what it
    keeps (an LSTM its cell state, a GRU its hidden state), and its hidden state.
    """

    gates: int  # gates of a cell, times hidden_size
    cell: type["_Cell"]

    def __init__(
        self, rnn: nn.RNNBase, embedding: np.ndarray, output: np.ndarray, bias: np.ndarray
    ):
        self.hidden = rnn.hidden_size
        self.layers = rnn.num_layers
        weights = [self._layer(rnn, layer) for layer in range(self.layers)]
        self.table = (embedding @ weights[0][0] + weights[0][2]).astype(np.float32)
        above = [(w_in, b_in) for w_in, _, b_in, _ in weights[1:]] + [(output, bias)]
        # One more row for the biases: hidden states have a last column of ones.
        self.products = [
            np.ascontiguousarray(
                np.vstack([np.hstack([recurrent, up]), np.hstack([own_bias, up_bias])]),
                dtype=np.float32,
            )
            for (_, recurrent, _, own_bias), (up, up_bias) in zip(weights, above, strict=True)
        ]
        self._bound: Steps | None = None

    def prepare(self, state: tuple[torch.Tensor, ...]) -> Arrays:
        """Turn a state of the module, (batch, layers, hidden), into one for `step`."""
        raise NotImplementedError

    def step(self, state: Arrays, ids: np.ndarray) -> tuple[np.ndarray, Arrays]:
        """
        ids (np.ndarray): Shape (rows,).
        RETURNS (tuple): Logits of shape (rows, symbols), valid until the next step, and
            the state; the old one is overwritten.
        """
        bound = self._bound
        if bound is None or state is not bound.state:
            bound = self._bound = self._bind(state)
        bound.table.take(ids, bound.axis, bound.first, "clip")
        for call in bound.calls:
            call()
        return bound.logits, bound.state

    def _bind(self, state: Arrays) -> Steps:
        """Make the arrays and views that the steps after this one use again and again,
        and copy the state into them."""
        first = np.empty((len(state[0]), self.gates), dtype=np.float32)
        below, bound = first, []
        calls: list[Callable[[], Any]] = []
        for layer, weights in enumerate(self.products):
            cell = self.cell(below, state[2 * layer], state[2 * layer + 1], weights)
            below = cell.above
            calls += [*cell.calls(), cell.multiply]
            bound += [cell.kept, cell.hidden]
        return Steps(self.table, 0, first, calls, below, tuple(bound))

    def _layer(self, rnn: nn.RNNBase, layer: int) -> Arrays:
        """Weights from below and from the past, (in, gates), and their biases."""
        raise NotImplementedError

    def _prepare(self, hidden: torch.Tensor, kept: torch.Tensor) -> Arrays:
        """A state from the hidden states and what the layers keep, both of shape (batch,
        layers, hidden)."""
        pairs = ((kept[:, layer], hidden[:, layer]) for layer in range(self.layers))
        return tuple(values.numpy().copy() for pair in pairs for values in pair)


class _Cell:
    """One layer with some number of rows: its arrays, and views of them made once.

    below (np.ndarray): Shape (rows, gates): what comes from below.
    kept (np.ndarray): Shape (rows, hidden): what the layer keeps.
    hidden (np.ndarray): Shape (rows, hidden): its hidden state.
    weights (np.ndarray): Shape (hidden + 1, gates + above).
    """

    kept: np.ndarray

    def __init__(
        self, below: np.ndarray, kept: np.ndarray, hidden: np.ndarray, weights: np.ndarray
    ):
        gates = below.shape[1]
        self.rows, self.width = kept.shape
        product = np.empty((self.rows, weights.shape[1]), dtype=np.float32)
        self.below, self.own, self.above = below, product[:, :gates], product[:, gates:]
        self.inputs = np.ones((self.rows, self.width + 1), dtype=np.float32)
        self.hidden = self.inputs[:, : self.width]
        self.hidden[:] = hidden
        self.work = np.empty((self.rows, self.width), dtype=np.float32)
        self.tanh: Callable[..., Any] = _tanh
        inputs, result = torch.from_numpy(self.inputs), torch.from_numpy(product)
        self.multiply = partial(torch.mm, inputs, torch.from_numpy(weights), out=result)
        if self.rows <= _FEW_ROWS:
            self.tanh = np.tanh
            self.multiply = partial(np.dot, self.inputs, weights, product)
        self.multiply()

    def calls(self) -> list[Callable[[], Any]]:
        """What puts the new hidden state into `hidden`, and what the layer keeps into
        `kept`: calls with their arguments, because looking those up at each step takes
        as long as some of the arithmetic."""
        raise NotImplementedError

    def _gates(self, count: int) -> np.ndarray:
        """Room for gates, one after the other: (count, rows, hidden). Operations on one
        of them then run through memory without a gap."""
        return np.empty((count, self.rows, self.width), dtype=np.float32)

    def _by_gate(self, values: np.ndarray, first: int, last: int) -> np.ndarray:
        """A view of (rows, gates) as (gates, rows, hidden)."""
        shape = self.rows, last - first, self.width
        part = values[:, first * self.width : last * self.width]
        return part.reshape(shape).transpose(1, 0, 2)


class _LSTMCell(_Cell):
    """Gates in the order input, forget, output, candidate; keeps the cell state."""

    def __init__(
        self, below: np.ndarray, kept: np.ndarray, hidden: np.ndarray, weights: np.ndarray
    ):
        super().__init__(below, kept, hidden, weights)
        self.gates = self._gates(4)
        self.from_below, self.from_own = (self._by_gate(v, 0, 4) for v in (self.below, self.own))
        self.sigmoids = torch.from_numpy(self.gates[:3])
        self.input_forget, self.output, self.candidate = (
            self.gates[:2],
            self.gates[2],
            self.gates[3],
        )
        self.pair = self._gates(2)  # the candidate, and the cell state
        self.pair[1] = kept
        self.new, self.kept = self.pair[0], self.pair[1]
        self.parts = self._gates(2)

    def calls(self) -> list[Callable[[], Any]]:
        return [
            partial(np.add, self.from_below, self.from_own, self.gates),
            self.sigmoids.sigmoid_,
            partial(self.tanh, self.candidate, self.new),
            # input * candidate and forget * cell in one product
            partial(np.multiply, self.input_forget, self.pair, self.parts),
            partial(np.add, *self.parts, self.kept),
            partial(self.tanh, self.kept, self.work),
            partial(np.multiply, self.work, self.output, self.hidden),
        ]


class _GRUCell(_Cell):
    """Gates in the order reset, update, candidate; keeps the hidden state."""

    def __init__(
        self, below: np.ndarray, kept: np.ndarray, hidden: np.ndarray, weights: np.ndarray
    ):
        super().__init__(below, kept, hidden, weights)
        self.gates = self._gates(2)
        self.from_below, self.from_own = (self._by_gate(v, 0, 2) for v in (self.below, self.own))
        self.new_below, self.new_own = (self._by_gate(v, 2, 3)[0] for v in (self.below, self.own))
        self.sigmoids = torch.from_numpy(self.gates)
        self.reset, self.update = self.gates
        self.kept = kept.copy()

    def calls(self) -> list[Callable[[], Any]]:
        return [
            partial(np.add, self.from_below, self.from_own, self.gates),
            self.sigmoids.sigmoid_,
            partial(np.multiply, self.reset, self.new_own, self.work),
            partial(np.add, self.work, self.new_below, self.work),
            partial(self.tanh, self.work, self.work),
            # candidate + update * (hidden - candidate)
            partial(np.subtract, self.kept, self.work, self.kept),
            partial(np.multiply, self.kept, self.update, self.kept),
            partial(np.add, self.kept, self.work, self.kept),
            partial(np.copyto, self.hidden, self.kept),
        ]


class LSTMSteps(RecurrentSteps):
    cell = _LSTMCell

    @cached_property
    def _block_weights(self) -> BlockWeights:
        return BlockWeights(self.table, self.products)

    def _bind(self, state: Arrays) -> Steps:
        many = len(state[0]) > _FEW_ROWS
        return bind_block(self._block_weights, state) if many else super()._bind(state)

    def _layer(self, rnn: nn.RNNBase, layer: int) -> Arrays:
        n = self.hidden
        self.gates = 4 * n
        order = np.r_[: 2 * n, 3 * n : 4 * n, 2 * n : 3 * n]  # PyTorch's has the output last
        w_in, w_past, b_in, b_past = (item[order] for item in _weights(rnn, layer))
        return w_in.T, w_past.T, b_in + b_past, np.zeros(4 * n)

    def prepare(self, state: tuple[torch.Tensor, ...]) -> Arrays:
        hidden, cell = state
        return self._prepare(hidden, cell)


class GRUSteps(RecurrentSteps):
    cell = _GRUCell

    def _layer(self, rnn: nn.RNNBase, layer: int) -> Arrays:
        self.gates = 3 * self.hidden
        w_in, w_past, b_in, b_past = _weights(rnn, layer)
        return w_in.T, w_past.T, b_in, b_past

    def prepare(self, state: tuple[torch.Tensor, ...]) -> Arrays:
        (hidden,) = state
        return self._prepare(hidden, hidden)


def _tanh(values: np.ndarray, out: np.ndarray) -> None:
    """2 sigmoid(2 x) - 1. For many values: PyTorch's sigmoid takes a third of the time
    of NumPy's tanh, or its own."""
    np.multiply(values, 2.0, out)
    torch.from_numpy(out).sigmoid_()
    np.multiply(out, 2.0, out)
    np.subtract(out, 1.0, out)


def _weights(rnn: nn.RNNBase, layer: int) -> Arrays:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    values = [getattr(rnn, f"{name}_l{layer}") for name in names]
    return tuple(value.detach().double().numpy() for value in values)


def make_recurrent_steps(net: Any) -> RecurrentSteps | None:
    """Fast steps for a `RecurrentLM`, or None where they do not apply: on a GPU, and
    for vocabularies so large that the table would not fit.
    """
    weight = net.embedding.weight
    table = weight.shape[0] * net.rnn.hidden_size * 4
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or table > _MAX_TABLE:
        return None
    with torch.no_grad():
        output = net.output.weight.double()
        if isinstance(net.projection, nn.Linear):
            output = output @ net.projection.weight.double()
        arguments = (
            net.rnn,
            weight.double().numpy(),
            output.numpy().T,
            net.output.bias.double().numpy(),
        )
    return LSTMSteps(*arguments) if net.cell == "lstm" else GRUSteps(*arguments)
