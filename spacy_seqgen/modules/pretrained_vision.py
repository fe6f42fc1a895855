"""Image encoders that were trained before, on other pictures."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .image_encoders import ImageEncoder

Colour = tuple[float, float, float]

_LEAST = 0.1  # deviation: what is the same all over stays near 0


class PretrainedEncoder(ImageEncoder):
    """An encoder of some layers, the first of which training leaves as they are, the means
    of their norms included.

    width (int): Of the features.
    count (int): Number of layers.
    train_from (int | None): The first layer that training changes; None changes none.
    rate_factor (float): Of the learning rate, for the layers that training changes.
    instance_norm (bool): Bring each feature to mean 0 and deviation 1 over the parts of each
        picture (Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022).
    mean, std (tuple[float, float, float]): As for every `ImageEncoder`.
    """

    def __init__(
        self,
        width: int,
        count: int,
        *,
        train_from: int | None,
        rate_factor: float,
        mean: Colour,
        std: Colour,
        instance_norm: bool = False,
    ):
        super().__init__(mean, std)
        self.width = width
        self.instance_norm = instance_norm
        self.first = count if train_from is None else train_from
        if not 0 <= self.first <= count:
            raise ValueError(f"train_from must be from 0 to {count} or null, got {train_from}")
        self.rate_factor = rate_factor
        self.frozen = self.first == count
        self._fixed: list[nn.Module] = []

    def forward(self, pixels: Tensor) -> Tensor:
        grid = super().forward(pixels)
        if not self.instance_norm:
            return grid
        deviation, mean = torch.std_mean(grid, (2, 3), correction=0, keepdim=True)
        return (grid - mean) / (deviation + _LEAST)

    def fix(self, modules: Iterable[nn.Module]) -> None:
        """Have training leave modules as they are; what they consist of is not meant."""
        self._fixed = list(modules)
        for module in self._fixed:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "PretrainedEncoder":
        super().train(mode)
        for module in self._fixed:
            module.training = False
        return self

    def learn_rate_factors(self) -> dict[str, float]:
        """By what the learning rate is multiplied for each parameter."""
        return {name: self.rate_factor for name, _ in self.named_parameters()}


class LayeredEncoder(PretrainedEncoder):
    """Some layers of a network, from the pixels on.

    layers (nn.Sequential): The layers: (batch, 3, height, width) to (batch, width, rows,
        columns).
    settings (Any): As for every `PretrainedEncoder`.
    """

    layers: nn.Sequential

    def __init__(self, layers: nn.Sequential, **settings: Any):
        with torch.no_grad():
            width = layers.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
        super().__init__(width, len(layers), **settings)
        self.layers = layers
        self.fix(part for layer in list(layers)[: self.first] for part in layer.modules())
        self.train()

    def encode(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            for layer in list(self.layers)[: self.first]:
                pixels = layer(pixels)
        for layer in list(self.layers)[self.first :]:
            pixels = layer(pixels)
        return pixels
