"""Steps of an LSTM for many rows, where arithmetic and memory cost more than calls.

The gates lie one after the other, (4, rows, hidden), in the order input, forget, output,
candidate: the recurrent product is added to them where they are, and every operation
runs through memory without a gap. The weights of the candidate are doubled, so that one
sigmoid serves all gates: tanh(x) = 2 sigmoid(2 x) - 1. PyTorch's sigmoid takes a third
of the time of NumPy's tanh, or its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

Calls = list[Callable[[], Any]]


@dataclass(slots=True)
class Steps:
    """The steps of one number of rows: arrays made once, and calls with their arguments,
    because looking those up at each step takes as long as some of the arithmetic.

    table (np.ndarray): What the first layer takes from below, for each symbol.
    axis (int): The table's axis of symbols.
    first (np.ndarray): Where to put those of this step.
    calls (Calls): A step.
    logits (np.ndarray): Shape (rows, symbols): where a step leaves its result.
    state (tuple): Where it leaves the state.
    """

    table: np.ndarray
    axis: int
    first: np.ndarray
    calls: Calls
    logits: np.ndarray
    state: tuple[np.ndarray, ...]


class BlockWeights:
    """
    table (np.ndarray): Shape (symbols, gates): what the first layer takes from below.
    products (list[np.ndarray]): For each layer, shape (hidden + 1, gates + above): its
        recurrent weights and those of the layer above, with a last row of biases.
    """

    def __init__(self, table: np.ndarray, products: list[np.ndarray]):
        gates = table.shape[1]
        self.table = _by_gate(table)
        self.recurrent = [torch.from_numpy(_by_gate(item[:-1, :gates])) for item in products]
        self.above, self.biases = (
            [torch.from_numpy(_by_gate(item[rows, gates:])) for item in products[:-1]]
            for rows in (slice(None, -1), slice(-1, None))
        )
        output = torch.from_numpy(products[-1][:, gates:].copy())
        self.output, self.output_bias = output[:-1], output[-1]


def bind_block(weights: BlockWeights, state: tuple[np.ndarray, ...]) -> Steps:
    """
    weights (BlockWeights): Those of all layers.
    state (tuple): For each layer its cell state and its hidden state, (rows, hidden).
    RETURNS (Steps): Steps that begin with a copy of this state.
    """
    rows, width = state[0].shape
    calls: Calls = []
    bound: list[np.ndarray] = []
    first = gates = _room(4, rows, width)
    for layer, recurrent in enumerate(weights.recurrent):
        cell, hidden = state[2 * layer], state[2 * layer + 1].copy()
        past = torch.from_numpy(hidden).expand(4, rows, width)
        calls.append(partial(torch.from_numpy(gates).baddbmm_, past, recurrent))
        bound += [_add_cell(calls, gates, cell, hidden), hidden]
        if layer < len(weights.above):
            gates = _room(4, rows, width)
            arguments = weights.biases[layer], past, weights.above[layer]
            calls.append(partial(torch.baddbmm, *arguments, out=torch.from_numpy(gates)))
    logits = torch.empty((rows, len(weights.output_bias)))
    last = weights.output_bias, torch.from_numpy(bound[-1]), weights.output
    calls.append(partial(torch.addmm, *last, out=logits))
    return Steps(weights.table, 1, first, calls, logits.numpy(), tuple(bound))


def _add_cell(calls: Calls, gates: np.ndarray, cell: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Append the calls that turn sums into a new hidden state.
    RETURNS (np.ndarray): Where they keep the cell state, which begins as `cell`."""
    rows, width = cell.shape
    pair, parts, work = _room(2, rows, width), _room(2, rows, width), _room(rows, width)
    candidate, kept = pair
    kept[:] = cell
    calls += [
        torch.from_numpy(gates).sigmoid_,
        partial(np.multiply, gates[3], 2.0, candidate),
        partial(np.subtract, candidate, 1.0, candidate),
        # input * candidate and forget * cell in one product
        partial(np.multiply, gates[:2], pair, parts),
        partial(np.add, *parts, kept),
        partial(np.multiply, kept, 2.0, work),
        torch.from_numpy(work).sigmoid_,
        partial(np.multiply, work, 2.0, work),
        partial(np.subtract, work, 1.0, work),
        partial(np.multiply, work, gates[2], hidden),
    ]
    return kept


def _room(*shape: int) -> np.ndarray:
    return np.empty(shape, dtype=np.float32)


def _by_gate(values: np.ndarray) -> np.ndarray:
    """(n, gates) as (4, n, hidden), the candidate doubled."""
    gates = values.reshape(len(values), 4, -1).transpose(1, 0, 2).copy()
    gates[3] *= 2
    return gates
