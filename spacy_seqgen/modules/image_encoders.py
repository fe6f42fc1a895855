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
        values = pixels.float().sub_(255 * self.mean).div_(255 * self.std)
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


class Halving(nn.Conv2d):
    """A convolution of 4 x 4 that halves height and width, rounded up. Each of its results is
    about the middle of the pixels it stands for; of a convolution of 3 x 3 it is about the
    upper left one, and after three of them attention seems to be half an object away.

    width_in, width (int): Width of the features.
    """

    def __init__(self, width_in: int, width: int):
        super().__init__(width_in, width, 4, 2, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(_make_even(inputs))


class ResidualBlock(nn.Module):
    """Two convolutions and a short cut around them (He et al. 2016,
    https://arxiv.org/abs/1512.03385, figure 5; where height and width are halved, that takes
    means: He et al. 2019, https://arxiv.org/abs/1812.01187, ResNet-D).

    width_in, width (int): Width of the features.
    stride (int): 2 halves height and width.
    """

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.stride = stride
        self.first = (
            Halving(width_in, width)
            if stride == 2
            else nn.Conv2d(width_in, width, 3, 1, 1, bias=False)
        )
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or width_in != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width, 1, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu_(self.norms[0](self.first(inputs)))
        if self.stride == 2:
            inputs = F.avg_pool2d(_make_even(inputs), 2)
        return F.relu_(self.norms[1](self.second(hidden)) + self.shortcut(inputs))


def _make_even(inputs: Tensor) -> Tensor:
    """With a row and a column more, where their number is odd."""
    height, width = inputs.shape[2:]
    if height % 2 or width % 2:
        inputs = F.pad(inputs, (0, width % 2, 0, height % 2))
    return inputs


class ConvEncoder(ImageEncoder):
    """A small residual network. Each stage halves height and width.

    widths (tuple[int, ...]): Width of the features in each stage.
    blocks (int): Residual blocks in each stage behind the first.
    """

    def __init__(self, *, widths: tuple[int, ...], blocks: int):
        super().__init__()
        self.width = widths[-1]
        layers: list[nn.Module] = [
            Halving(3, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True),
        ]  # fmt: skip
        for before, width in pairwise(widths):
            layers.append(ResidualBlock(before, width, 2))
            layers += [ResidualBlock(width, width, 1) for _ in range(blocks - 1)]
        self.layers = nn.Sequential(*layers)

    def encode(self, pixels: Tensor) -> Tensor:
        return self.layers(pixels)
