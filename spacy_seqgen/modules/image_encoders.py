"""From pictures to grids of features."""

from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ImageEncoder(nn.Module):
    """Describes each part of a picture by a vector.

    width (int): Of these vectors.
    mean, std (tuple[float, float, float]): Of red, green and blue, from 0 to 1: pictures
        are brought to mean 0 and deviation 1 with them.
    """

    width: int
    mean: Tensor
    std: Tensor
    frozen = False  # whether training leaves all of it as it is

    def __init__(
        self,
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.5, 0.5, 0.5),
    ):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """
        pixels (Tensor): Shape (batch, 3, height, width), uint8: red, green and blue.
        RETURNS (Tensor): Shape (batch, width, rows, columns), float32.
        """
        values = (pixels.float() / 255 - self.mean) / self.std
        if self._is_even:
            # Convolutions are a quarter faster on CPUs with the channels side by side.
            values = values.contiguous(memory_format=torch.channels_last)
        return self.encode(values)

    @cached_property
    def _is_even(self) -> bool:
        """Whether all widths are multiples of 8. With others, the gradient of a convolution
        of 1 x 1 with stride 2 writes beyond its memory (PyTorch 2.13, channels side by side)."""
        layers = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        return all(layer.out_channels % 8 == 0 for layer in layers)

    def encode(self, pixels: Tensor) -> Tensor:
        """The same of pictures that are normalised already."""
        raise NotImplementedError


class ResidualBlock(nn.Module):
    """Two convolutions of 3 x 3 and a short cut around them (He et al. 2016,
    https://arxiv.org/abs/1512.03385, figure 5).

    width_in, width (int): Width of the features.
    stride (int): 2 halves height and width.
    """

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or width_in != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu(self.norms[0](self.first(inputs)))
        return F.relu(self.norms[1](self.second(hidden)) + self.shortcut(inputs))


class ConvEncoder(ImageEncoder):
    """A small residual network. Each stage halves height and width.

    widths (tuple[int, ...]): Width of the features in each stage.
    blocks (int): Residual blocks in each stage behind the first.
    """

    def __init__(self, *, widths: tuple[int, ...], blocks: int):
        super().__init__()
        self.width = widths[-1]
        layers: list[nn.Module] = [
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(),
        ]  # fmt: skip
        for before, width in pairwise(widths):
            layers.append(ResidualBlock(before, width, 2))
            layers += [ResidualBlock(width, width, 1) for _ in range(blocks - 1)]
        self.layers = nn.Sequential(*layers)

    def encode(self, pixels: Tensor) -> Tensor:
        return self.layers(pixels)
