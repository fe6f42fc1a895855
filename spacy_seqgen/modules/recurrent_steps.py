"""Generating with a recurrent model on a CPU, one symbol at a time.

A step of `nn.LSTM` on a sequence of length 1 costs many times its arithmetic. Here

- `embedding @ W_ih + bias` is a table made once, with a row for each symbol;
- each layer has one matrix product: its hidden state times [its recurrent weights, the
  weights of the layer above], the softmax being the last layer;
- tanh(x) is 2 sigmoid(2 x) - 1, so that one call serves all gates and PyTorch's fast
  sigmoid all squashing; the factors 2 and 1/2 are moved into the weights;
- arrays are allocated once and shared by NumPy, which has the smaller overhead for a
  call, and PyTorch, which has the faster sigmoid and, for many rows, matrix product.

The arithmetic is that of `nn.LSTM` and `nn.GRU` to rounding errors.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

_MAX_TABLE = 2**24  # values in the table of the first layer: 64 MB
_FEW_ROWS = 4  # up to here NumPy's matrix product is the faster one

Arrays = tuple[np.ndarray, ...]


class RecurrentSteps:
    """Step function for a recurrent language model whose weights do not change.

    A state is a tuple with two arrays for each layer: what the layer keeps, of shape
    (rows, hidden), and the result of its last matrix product, of shape (rows, gates +
    width of the layer above).
    """

    gates: int  # gates of a cell, times hidden_size

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
        self._rows = 0
        self._bound: Arrays | None = None
        self._layers: list[_LayerViews] = []

    def prepare(self, state: tuple[torch.Tensor, ...]) -> Arrays:
        """Turn a state of the module, (batch, layers, hidden), into one for `step`."""
        raise NotImplementedError

    def step(self, state: Arrays, ids: np.ndarray) -> tuple[np.ndarray, Arrays]:
        """
        ids (np.ndarray): Shape (rows,).
        RETURNS (tuple): Logits of shape (rows, symbols), valid until the next step, and
            the state, which is the old one, overwritten.
        """
        if state is not self._bound:
            self._bind(state)
        self.table.take(ids, 0, self._first, "clip")
        for layer in self._layers:
            self._cell(layer.below, layer.kept, layer.own, layer.hidden)
            if self._rows <= _FEW_ROWS:
                np.dot(layer.inputs, layer.weights, layer.product)
            else:
                torch.mm(layer.torch_inputs, layer.torch_weights, out=layer.torch_product)
        return self._layers[-1].above, state

    def _bind(self, state: Arrays) -> None:
        """Make the views of a state that the steps after this one use again and again."""
        rows, n = len(state[0]), self.hidden
        if rows != self._rows:
            self._rows = rows
            self._first = np.empty((rows, self.gates), dtype=np.float32)
            self._work = np.empty((rows, n), dtype=np.float32)
            self._torch_work = torch.from_numpy(self._work)
            self._allocate_gates(rows)
        self._bound, self._layers = state, []
        below = self._first
        for layer, weights in enumerate(self.products):
            kept, product = state[2 * layer], state[2 * layer + 1]
            self._layers.append(_LayerViews(below, kept, product, weights, n, self.gates))
            below = self._layers[-1].above

    def _allocate_gates(self, rows: int) -> None:
        raise NotImplementedError

    def _cell(self, below: np.ndarray, kept: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """One layer, without its matrix product.

        below (np.ndarray): Shape (rows, gates): what comes from below.
        kept (np.ndarray): Shape (rows, hidden): what the layer keeps; overwritten.
        own (np.ndarray): Shape (rows, gates): what comes from its own past.
        out (np.ndarray): Shape (rows, hidden): where to put the hidden state.
        """
        raise NotImplementedError

    def _layer(self, rnn: nn.RNNBase, layer: int) -> Arrays:
        """Weights from below and from the past, (in, gates), and their biases."""
        raise NotImplementedError

    def _products_of(self, hidden: torch.Tensor) -> list[np.ndarray]:
        """The matrix products of given hidden states, (batch, layers, hidden)."""
        found = []
        for layer in range(self.layers):
            values = hidden[:, layer].numpy() * np.float32(self._hidden_scale)
            ones = np.ones((len(values), 1), np.float32)
            found.append(np.hstack([values, ones]) @ self.products[layer])
        return found

    _hidden_scale = 1.0


class LSTMSteps(RecurrentSteps):
    """Gates in the order input, forget, output, candidate. What a layer keeps is half
    its cell state c, and the hidden state is halved as well:

        c / 2 = f * c / 2 + i * (sigmoid(2 g) - 1/2)
        h / 2 = o * (sigmoid(2 c) - 1/2)
    """

    _hidden_scale = 0.5

    def _layer(self, rnn: nn.RNNBase, layer: int) -> Arrays:
        n = self.hidden
        self.gates = 4 * n
        order = np.r_[: 2 * n, 3 * n : 4 * n, 2 * n : 3 * n]
        scale = np.r_[np.ones(3 * n), np.full(n, 2.0)]
        w_in, w_past, b_in, b_past = _weights(rnn, layer)
        below = 2.0 if layer else 1.0  # the hidden states below are halved
        return (
            (w_in[order] * scale[:, None]).T * below,
            (w_past[order] * scale[:, None]).T * 2.0,
            (b_in + b_past)[order] * scale,
            np.zeros(4 * n),
        )

    def prepare(self, state: tuple[torch.Tensor, ...]) -> Arrays:
        hidden, cell = state
        products = self._products_of(hidden)
        kept = [cell[:, layer].numpy() * np.float32(0.5) for layer in range(self.layers)]
        return tuple(item for pair in zip(kept, products, strict=True) for item in pair)

    def _allocate_gates(self, rows: int) -> None:
        n = self.hidden
        self._gates = np.empty((rows, 4 * n), dtype=np.float32)
        self._torch_gates = torch.from_numpy(self._gates)
        parts = (self._gates[:, k * n : (k + 1) * n] for k in range(4))
        self._input, self._forget, self._output, self._candidate = parts

    def _cell(self, below: np.ndarray, kept: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        work = self._work
        np.add(below, own, self._gates)
        self._torch_gates.sigmoid_()
        np.subtract(self._candidate, 0.5, work)
        np.multiply(work, self._input, work)
        np.multiply(kept, self._forget, kept)
        np.add(kept, work, kept)
        np.multiply(kept, 4.0, work)
        self._torch_work.sigmoid_()
        np.subtract(work, 0.5, work)
        np.multiply(work, self._output, out)


class GRUSteps(RecurrentSteps):
    """Gates in the order reset, update, candidate. What a layer keeps is its hidden
    state:

        n = 2 sigmoid(2 (W_in x + r * (W_past h))) - 1
        h = n + z * (h - n)
    """

    def _layer(self, rnn: nn.RNNBase, layer: int) -> Arrays:
        n = self.hidden
        self.gates = 3 * n
        scale = np.r_[np.ones(2 * n), np.full(n, 2.0)]
        w_in, w_past, b_in, b_past = _weights(rnn, layer)
        return (
            (w_in * scale[:, None]).T,
            (w_past * scale[:, None]).T,
            b_in * scale,
            b_past * scale,
        )

    def prepare(self, state: tuple[torch.Tensor, ...]) -> Arrays:
        (hidden,) = state
        products = self._products_of(hidden)
        kept = [hidden[:, layer].numpy().copy() for layer in range(self.layers)]
        return tuple(item for pair in zip(kept, products, strict=True) for item in pair)

    def _allocate_gates(self, rows: int) -> None:
        n = self.hidden
        self._gates = np.empty((rows, 2 * n), dtype=np.float32)
        self._torch_gates = torch.from_numpy(self._gates)
        self._reset, self._update = self._gates[:, :n], self._gates[:, n:]

    def _cell(self, below: np.ndarray, kept: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        n, work = self.hidden, self._work
        np.add(below[:, : 2 * n], own[:, : 2 * n], self._gates)
        self._torch_gates.sigmoid_()
        np.multiply(self._reset, own[:, 2 * n :], work)
        np.add(work, below[:, 2 * n :], work)
        self._torch_work.sigmoid_()
        np.multiply(work, 2.0, work)
        np.subtract(work, 1.0, work)
        np.subtract(kept, work, kept)
        np.multiply(kept, self._update, kept)
        np.add(kept, work, kept)
        out[:] = kept


class _LayerViews:
    """The arrays of one layer, as views that are made once for many steps."""

    def __init__(
        self,
        below: np.ndarray,
        kept: np.ndarray,
        product: np.ndarray,
        weights: np.ndarray,
        hidden: int,
        gates: int,
    ):
        self.below, self.kept, self.product, self.weights = below, kept, product, weights
        self.own, self.above = product[:, :gates], product[:, gates:]
        self.inputs = np.ones((len(kept), hidden + 1), dtype=np.float32)
        self.hidden = self.inputs[:, :hidden]
        self.torch_inputs = torch.from_numpy(self.inputs)
        self.torch_weights = torch.from_numpy(weights)
        self.torch_product = torch.from_numpy(product)


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
        halved = 2.0 if net.cell == "lstm" else 1.0
        arguments = (
            net.rnn,
            weight.double().numpy(),
            output.numpy().T * halved,
            net.output.bias.double().numpy(),
        )
    return LSTMSteps(*arguments) if net.cell == "lstm" else GRUSteps(*arguments)
