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


class NoPositions(nn.Module):
    """Nothing to add: attention is told, by `rotation`."""

    def __init__(self, width: int):
        super().__init__()

    def forward(self, places: Tensor) -> Tensor:
        """(time,) to (1,)."""
        return torch.zeros(1, device=places.device)


def rotation(places: Tensor, width: int) -> Tensor:
    """How far attention turns queries and keys, two values of a head at a time, so that their
    product knows how far apart they are (Su et al. 2021, https://arxiv.org/abs/2104.09864,
    section 3.2).

    places (Tensor): Shape (time,).
    width (int): Of a head, even.
    RETURNS (Tensor): Shape (time, width / 2, 2): cosine and sine.
    """
    rates = torch.arange(0, width, 2, device=places.device)
    angles = places[:, None] * torch.exp(rates * (-math.log(10000.0) / width))
    return torch.stack([angles.cos(), angles.sin()], -1)


def rotate(states: Tensor, by: Tensor | None) -> Tensor:
    """(batch, time, heads, width), the same shape, by what `rotation` returned, if by anything."""
    if by is None:
        return states
    precise = states.to(torch.promote_types(states.dtype, torch.float32))
    turn = _turn_at_once if states.device.type == "cpu" else _turn
    return turn(precise.unflatten(-1, (-1, 2)), by[:, None]).flatten(-2).to(states.dtype)


def _turn_at_once(pairs: Tensor, by: Tensor) -> Tensor:
    """(batch, time, heads, width / 2, 2) and (time, 1, width / 2, 2), to the shape of the first:
    a third of the operations of `_turn`; not all devices know complex numbers."""
    return torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(by))


def _turn(pairs: Tensor, by: Tensor) -> Tensor:
    """As `_turn_at_once`."""
    (one, two), (cosine, sine) = pairs.unbind(-1), by.unbind(-1)
    return torch.stack([one * cosine - two * sine, one * sine + two * cosine], -1)


POSITIONS: dict[str, type[nn.Module]] = {
    "sinusoidal": SinusoidalPositions,
    "learned": LearnedPositions,
    "rotary": NoPositions,
}
