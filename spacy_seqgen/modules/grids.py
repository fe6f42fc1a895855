"""Grids of features from the states of models that read pictures."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class GridReader:
    """Makes a grid of what a model says of the parts of a picture.

    patch (tuple[int, int] | None): Height and width of a part, in pixels.
    extras (tuple[int, ...]): How many states may come before those of the parts.
    channels_last (bool): Whether four dimensions are (batch, rows, columns, width).
    """

    patch: tuple[int, int] | None
    extras: tuple[int, ...]
    channels_last: bool = False

    @classmethod
    def of(cls, model: Any) -> "GridReader":
        if hasattr(model, "timm_model"):
            inner = model.timm_model
            patch = getattr(getattr(inner, "patch_embed", None), "patch_size", None)
            last = getattr(inner, "output_fmt", None) == "NHWC"
            return cls(patch, (getattr(inner, "num_prefix_tokens", 0),), last)
        patch = getattr(model.config, "patch_size", None)
        registers = getattr(model.config, "num_register_tokens", 0)
        # One for the whole picture, one more for distillation (Touvron et al. 2021), registers
        # (Darcet et al. 2024, https://arxiv.org/abs/2309.16588).
        return cls((patch, patch) if isinstance(patch, int) else patch, (0, 1, 2, 1 + registers))

    def __call__(self, states: Tensor, height: int, width: int) -> Tensor:
        """
        states (Tensor): Four dimensions, or shape (batch, length, width): the parts row by
            row, perhaps behind some that stand for all of the picture.
        height, width (int): Of the picture, in pixels.
        RETURNS (Tensor): Shape (batch, width, rows, columns).
        RAISES (ValueError): If the states make no grid.
        """
        if states.dim() == 4:
            return states.permute(0, 3, 1, 2) if self.channels_last else states
        if states.dim() == 3 and self.patch:
            rows, columns = height // self.patch[0], width // self.patch[1]
            length = states.shape[1]
            if length - rows * columns in self.extras:
                states = states[:, length - rows * columns :]
                return states.transpose(1, 2).unflatten(2, (rows, columns))
            # In stages: each has half as many rows and columns as the one before.
            times = math.isqrt(rows * columns // length)
            if times and (rows // times * times, columns // times * times) == (rows, columns):
                grid = rows // times, columns // times
                if grid[0] * grid[1] == length:
                    return states.transpose(1, 2).unflatten(2, grid)
        raise ValueError(
            f"its states, of shape {tuple(states.shape)}, make no grid over a picture of {width} x "
            f"{height} pixels"
        )
