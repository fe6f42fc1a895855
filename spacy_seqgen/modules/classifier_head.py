"""From the states of a text to one number for each class."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packing import Packing

POOLINGS = ("cls", "mean", "max", "attention")


class ClassifierHead(nn.Module):
    """Pools the states of each window of a text, then those of the windows, and
    classifies what comes out.

    width (int): Of the states.
    classes (int): How many.
    pooling (str): "cls" (the state of the first position), "mean", "max", or "attention":
        a mean whose weights are learned, from the product of each state with one vector
        (Yang et al. 2016, https://aclanthology.org/N16-1174, without their extra layer).
    hidden_size (int): Width of a layer with tanh before the classes; 0 for none.
    """

    def __init__(self, width: int, classes: int, pooling: str, hidden_size: int = 0):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}, got {pooling!r}")
        self.pooling = pooling
        self.query = nn.Linear(width, 1, bias=False) if pooling == "attention" else None
        self.hidden = nn.Linear(width, hidden_size) if hidden_size else None
        self.output = nn.Linear(hidden_size or width, classes)
        self.dropout = 0.0
        for layer in (self.query, self.hidden, self.output):
            if layer is not None:  # as BERT's own classifiers begin
                nn.init.normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def pool(self, states: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        """One vector for each sequence.

        states (Tensor): Shape (total, width); for "cls" also (sequences, width), the
            first positions only.
        RETURNS (tuple[Tensor, Tensor]): Vectors, (sequences, width), and the logarithms
            of the weights that they have among those of the same text, (sequences,).
        """
        even = torch.zeros(packing.count, device=states.device)
        if self.pooling == "cls":
            is_first = len(states) == packing.count
            return (states if is_first else states[packing.starts]), even
        if self.pooling == "max":
            return packing.pad(states, float("-inf")).amax(1), even
        if self.pooling == "mean":
            return packing.sum(states) / packing.lengths[:, None], packing.lengths.log()
        shares, weights = packing.softmax(self.energies(states))
        return packing.sum(states * shares[:, None]), weights

    def energies(self, states: Tensor) -> Tensor:
        """How much "attention" wants of each state, (total,), before the softmax."""
        assert self.query is not None
        return self.query(states)[:, 0]

    def join(self, vectors: Tensor, weights: Tensor, windows: Packing) -> Tensor:
        """The vectors of the windows of each text as one: exactly what pooling the states
        of all windows at once gives, for "cls" the mean.

        windows (Packing): How many windows each text has.
        """
        if windows.total == windows.count:
            return vectors
        if self.pooling == "max":
            return windows.pad(vectors, float("-inf")).amax(1)
        shares, _ = windows.softmax(weights)
        return windows.sum(vectors * shares[:, None])

    def forward(self, vectors: Tensor) -> Tensor:
        """(texts, width) to logits, (texts, classes)."""
        vectors = F.dropout(vectors, self.dropout, self.training)
        if self.hidden is not None:
            vectors = F.dropout(torch.tanh(self.hidden(vectors)), self.dropout, self.training)
        return self.output(vectors)

    def set_dropout(self, rate: float) -> None:
        self.dropout = rate
