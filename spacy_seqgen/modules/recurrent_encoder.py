"""The encoder of a recurrent sequence-to-sequence model (Cho et al. 2014, Sutskever et
al. 2014, https://arxiv.org/abs/1409.3215)."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .dropout import Dropout
from .recurrent_lm import CELLS

# Of an LSTM (h, c), of a GRU (h,): each of shape (batch, layers, width).
Hidden = tuple[Tensor, ...]


class RecurrentEncoder(nn.Module):
    """Reads a sentence, in one direction or in both.

    embedding (nn.Embedding): For the symbols of the source.
    hidden_size (int): Width of the states, both directions together.
    num_layers (int): Number of recurrent layers.
    cell (str): "lstm" or "gru".
    bidirectional (bool): Read from both ends; each direction has half the width.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        *,
        hidden_size: int,
        num_layers: int,
        cell: str,
        bidirectional: bool,
    ):
        super().__init__()
        self.embedding = embedding
        self.directions = 2 if bidirectional else 1
        self.dropout = Dropout(0.0)
        self.rnn = CELLS[cell](
            embedding.embedding_dim,
            hidden_size // self.directions,
            num_layers,
            bidirectional=bidirectional,
            batch_first=True,
        )

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Hidden]:
        """
        ids (Tensor): Shape (batch, time), int64, padded at the end.
        lengths (Tensor): Shape (batch,), int64, on the CPU; at least 1 each.
        RETURNS (tuple[Tensor, Hidden]): The states at each symbol, shape (batch, time,
            hidden), zero behind the end; and the last ones, (batch, layers, hidden).
        """
        embedded = self.dropout(self.embedding(ids))
        if ids.is_cuda:
            self.rnn.flatten_parameters()
        if bool((lengths == ids.shape[1]).all()):
            states, last = self.rnn(embedded)
        else:
            packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
            packed, last = self.rnn(packed)
            states, _ = pad_packed_sequence(packed, batch_first=True, total_length=ids.shape[1])
        last = last if isinstance(last, tuple) else (last,)
        return states, tuple(self._by_layer(item) for item in last)

    def _by_layer(self, last: Tensor) -> Tensor:
        """(layers x directions, batch, n) to (batch, layers, directions x n)."""
        layers, batch = last.shape[0] // self.directions, last.shape[1]
        parts = last.view(layers, self.directions, batch, -1).permute(2, 0, 1, 3)
        return parts.reshape(batch, layers, -1)


class Bridge(nn.Module):
    """From the last states of an encoder to the first of a decoder: tanh(W h), with a W
    for each layer (Bahdanau et al. 2015, appendix A.2.2)."""

    def __init__(self, width: int, layers: int, parts: int):
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(width, width) for _ in range(layers * parts))

    def forward(self, last: Hidden) -> Hidden:
        rest = iter(self.weights)
        return tuple(
            torch.stack([torch.tanh(next(rest)(layer)) for layer in part.unbind(1)], 1)
            for part in last
        )
