"""Image encoders that were trained before, on other pictures."""

import torch
from torch import Tensor, nn

from .image_encoders import ImageEncoder


class PretrainedEncoder(ImageEncoder):
    """Some layers of a network, from the pixels on.

    layers (nn.Sequential): The layers: (batch, 3, height, width) to (batch, width,
        rows, columns).
    train_from (int | None): The first layer that training changes; None changes none. Those
        before it are as at the beginning, the means of their norms included.
    rate_factor (float): Of the learning rate, for the layers that training changes.
    mean, std (tuple[float, float, float]): As for every `ImageEncoder`.
    """

    layers: nn.Sequential

    def __init__(
        self,
        layers: nn.Sequential,
        *,
        train_from: int | None,
        rate_factor: float,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ):
        super().__init__(mean, std)
        count = len(layers)
        self.first = count if train_from is None else train_from
        if not 0 <= self.first <= count:
            raise ValueError(f"train_from must be from 0 to {count} or null, got {train_from}")
        self.layers = layers
        self.rate_factor = rate_factor
        self.frozen = self.first == count
        for layer in list(layers)[: self.first]:
            layer.requires_grad_(False)
        with torch.no_grad():
            self.width = layers.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
        layers.train()

    def train(self, mode: bool = True) -> "PretrainedEncoder":
        super().train(mode)
        for layer in list(self.layers)[: self.first]:
            layer.eval()
        return self

    def learn_rate_factors(self) -> dict[str, float]:
        """By what the learning rate is multiplied for each parameter."""
        return {name: self.rate_factor for name, _ in self.named_parameters()}

    def encode(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            for layer in list(self.layers)[: self.first]:
                pixels = layer(pixels)
        for layer in list(self.layers)[self.first :]:
            pixels = layer(pixels)
        return pixels
