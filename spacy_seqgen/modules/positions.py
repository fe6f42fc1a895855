"""Where in a sentence a symbol stands, for models that would not know."""

import math

import torch
from torch import Tensor, nn


class SinusoidalPositions(nn.Module):
    """Waves of different length (Vaswani et al. 2017, section 3.5,
    https://arxiv.org/abs/1706.03762). There is nothing to learn, and no last position.

    width (int): Of each position.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, places: Tensor) -> Tensor:
        """(time,) to (time, width)."""
        rates = torch.arange(0, self.width, 2, device=places.device)
        rates = torch.exp(rates * (-math.log(10000.0) / self.width))
        angles = places[:, None] * rates
        return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, : self.width]


class LearnedPositions(nn.Module):
    """A vector for each position (Gehring et al. 2017, https://arxiv.org/abs/1705.03122),
    which begins as the waves. All positions behind the last share its vector.

    width (int): Of each position.
    count (int): How many there are.
    """

    def __init__(self, width: int, count: int = 512):
        super().__init__()
        self.table = nn.Embedding(count, width)
        with torch.no_grad():
            self.table.weight.copy_(SinusoidalPositions(width)(torch.arange(count)))

    def forward(self, places: Tensor) -> Tensor:
        """(time,) to (time, width)."""
        return self.table(places.clamp(max=self.table.num_embeddings - 1))


POSITIONS: dict[str, type[nn.Module]] = {
    "sinusoidal": SinusoidalPositions,
    "learned": LearnedPositions,
}
