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

    def __init__(self, rnn: nn.Module, embedding: np.ndarray, output: np.ndarray, bias: np.ndarray):
        self.hidden = rnn.hidden_size
        self.layers = rnn.num_layers
        weights = [self._layer(rnn, layer) for layer in range(self.layers)]
        self.table = embedding @ weights[0][0] + weights[0][2]
        above = [(w_in, b_in) for w_in, _, b_in, _ in weights[1:]] + [(output, bias)]
        # One more row for the biases: hidden states have a last column of ones.
        self.products = [
            np.ascontiguousarray(
                np.vstack([np.hstack([recurrent, up]), np.hstack([own_bias, up_bias])]),
                dtype=np.float32,
            )
            for (_, recurrent, _, own_bias), (up, up_bias) in zip(weights, above, strict=True)
        ]
        self._torch_products = [torch.from_numpy(item) for item in self.products]
        self._buffers: dict[str, Any] = {}
        self._rows = -1

    def prepare(self, state: tuple[torch.Tensor, ...]) -> Arrays:
        """Turn a state of the module, (batch, layers, hidden), into one for `step`."""
        raise NotImplementedError

    def step(self, state: Arrays, ids: np.ndarray) -> tuple[np.ndarray, Arrays]:
        """
        ids (np.ndarray): Shape (rows,).
        RETURNS (tuple): Logits of shape (rows, symbols), valid until the next step, and
            the state, which is the old one, overwritten.
        """
        if len(ids) != self._rows:
            self._allocate(len(ids))
        below = self._first
        np.take(self.table, ids, 0, below, "clip")
        for layer in range(self.layers):
            kept, product = state[2 * layer], state[2 * layer + 1]
            self._cell(below, kept, product[:, : self.gates], self._inputs[layer])
            self._multiply(layer, product)
            below = product[:, self.gates :]
        return below, state

    def _cell(self, below: np.ndarray, kept: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        raise NotImplementedError

    def _layer(self, rnn: nn.Module, layer: int) -> Arrays:
        """Weights from below and from the past, (in, gates), and their biases."""
        raise NotImplementedError

    def _allocate(self, rows: int) -> None:
        self._rows = rows
        self._first = np.empty((rows, self.gates), dtype=np.float32)
        self._inputs = [np.ones((rows, self.hidden + 1), np.float32) for _ in self.products]
        self._torch_inputs = [torch.from_numpy(item) for item in self._inputs]
        self._gates = np.empty((rows, self.gates), dtype=np.float32)
        self._torch_gates = torch.from_numpy(self._gates)
        self._work = np.empty((rows, self.hidden), dtype=np.float32)
        self._torch_work = torch.from_numpy(self._work)

    def _multiply(self, layer: int, out: np.ndarray) -> None:
        if self._rows <= _FEW_ROWS:
            np.dot(self._inputs[layer], self.products[layer], out)
        else:
            product = self._torch_products[layer]
            torch.mm(self._torch_inputs[layer], product, out=torch.from_numpy(out))

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

    def _layer(self, rnn: nn.Module, layer: int) -> Arrays:
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

    def _cell(self, below: np.ndarray, kept: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        n, gates, work = self.hidden, self._gates, self._work
        np.add(below, own, gates)
        self._torch_gates.sigmoid_()
        candidate = gates[:, 3 * n :]
        np.subtract(candidate, 0.5, work)
        np.multiply(work, gates[:, :n], work)
        np.multiply(kept, gates[:, n : 2 * n], kept)
        np.add(kept, work, kept)
        np.multiply(kept, 4.0, work)
        self._torch_work.sigmoid_()
        np.subtract(work, 0.5, work)
        np.multiply(work, gates[:, 2 * n : 3 * n], out[:, :n])


class GRUSteps(RecurrentSteps):
    """Gates in the order reset, update, candidate. What a layer keeps is its hidden
    state:

        n = 2 sigmoid(2 (W_in x + r * (W_past h))) - 1
        h = n + z * (h - n)
    """

    def _layer(self, rnn: nn.Module, layer: int) -> Arrays:
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

    def _cell(self, below: np.ndarray, kept: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        n, gates, work = self.hidden, self._gates, self._work
        np.add(below[:, : 2 * n], own[:, : 2 * n], gates[:, : 2 * n])
        self._torch_gates[:, : 2 * n].sigmoid_()
        np.multiply(gates[:, :n], own[:, 2 * n :], work)
        np.add(work, below[:, 2 * n :], work)
        self._torch_work.sigmoid_()
        np.multiply(work, 2.0, work)
        np.subtract(work, 1.0, work)
        np.subtract(kept, work, kept)
        np.multiply(kept, gates[:, n : 2 * n], kept)
        np.add(kept, work, kept)
        out[:, :n] = kept


def _weights(rnn: nn.Module, layer: int) -> Arrays:
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
