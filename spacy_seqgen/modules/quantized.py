"""Linear layers in 8-bit integers, for predictions on a CPU."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class QuantizedLinear(nn.Module):
    """A linear layer whose weights are integers from -127 to 127 with a scale for each
    output, and whose inputs are rounded to 8 bits, too, by a scale found for each batch
    (Jacob et al. 2018, https://arxiv.org/abs/1712.05877; dynamic quantisation).

    layer (nn.Linear): What it takes the place of.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear):
        super().__init__()
        weight = layer.weight.detach()
        scale = (weight.abs().amax(1) / 127).clamp_min(1e-12)
        rounded = (weight / scale[:, None]).round().clamp(-127, 127)
        self.register_buffer("weight", rounded.to(torch.int8))
        self.register_buffer("scale", scale)
        bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach().clone()
        self.register_buffer("bias", bias)
        self._packed: Any = None

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.device.type != "cpu":
            return F.linear(inputs, weight_of(self), self.bias)
        if self._packed is None:
            self._packed = self._pack()
        # Sums of products of 8 bits may overflow where the processor adds pairs of them in
        # 16 bits; inputs are therefore rounded to 7 there.
        return torch.ops.quantized.linear_dynamic(inputs, self._packed, True)

    def _pack(self) -> Any:
        zeros = torch.zeros(len(self.scale), dtype=torch.int64)
        with warnings.catch_warnings():
            # PyTorch moves these tensors to another package; the operator stays.
            warnings.simplefilter("ignore")
            weight = torch._make_per_channel_quantized_tensor(
                self.weight, self.scale.double(), zeros, 0
            )
        return torch.ops.quantized.linear_prepack(weight, self.bias)

    def train(self, mode: bool = True) -> "QuantizedLinear":
        if mode:  # so the bridge says that weights have changed
            self._packed = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}


def weight_of(layer: Any) -> Tensor:
    """The weight of a linear layer, in floating point even where it is stored as integers."""
    if isinstance(layer, QuantizedLinear):
        return layer.weight * layer.scale[:, None]
    return layer.weight


def quantize_linear(module: nn.Module) -> None:
    """Put integers in the place of every linear layer inside a module."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Linear:
                setattr(part, name, QuantizedLinear(child))
