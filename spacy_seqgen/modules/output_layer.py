"""From the states of a decoder to logits."""

from typing import Any

import torch
from torch import Tensor

from .linear import Linear, linear

_LARGEST = torch.finfo(torch.float16).max


class OutputLayer(Linear):
    """`Linear`, with its weights in float16 for predictions on x86 CPUs.

    With the few rows of one sentence, the product takes as long as its weights take to come
    out of memory. FBGEMM reads them in float16 and computes in float32: with 5 rows, 256
    inputs and 8,000 symbols in less than a third of the time, and with many rows no slower.
    Logits change by about a thousandth.

    Its weights may be a table of embeddings with more rows than there are symbols to predict:
    behind them are those that only a source has.
    """

    _packed: Any = None
    _made_from: tuple[int, int] | None = None

    @property
    def used(self) -> Tensor:
        """The weights of the symbols to predict: shape (symbols, width)."""
        rows = self.weight[: self.out_features]
        return self.weight if len(rows) == len(self.weight) else rows

    def train(self, mode: bool = True) -> "OutputLayer":
        if mode:
            self._packed = self._made_from = None
        return super().train(mode)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training or torch.is_grad_enabled() or not _can_pack(inputs):
            return linear(inputs, self.used, self.bias)
        version = self.weight.data_ptr(), self.weight._version
        if version != self._made_from:
            self._packed, self._made_from = self._pack(), version
        if self._packed is None or not inputs.numel():
            return linear(inputs, self.used, self.bias)
        rows: Tensor = torch.ops.quantized.linear_dynamic_fp16(inputs.contiguous(), self._packed)
        return rows

    def _pack(self) -> Any:
        """The weights in FBGEMM's order, or None if there is none or float16 can't hold them."""
        if torch.backends.quantized.engine not in ("x86", "fbgemm"):
            return None
        weight, bias = self.used.detach(), self.bias.detach()
        if weight.dtype != torch.float32 or not bool(weight.abs().max() <= _LARGEST):
            return None
        return torch.ops.quantized.linear_prepack_fp16(weight, bias)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None, "_made_from": None}


def _can_pack(inputs: Tensor) -> bool:
    return inputs.device.type == "cpu" and inputs.dtype == torch.float32
