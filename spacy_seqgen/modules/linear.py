"""Linear layers for batches of many sizes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS_MULTIPLE = 128  # see `Linear`


class Linear(nn.Linear):
    """`nn.Linear`, with the number of rows rounded up where it learns in bfloat16 on a CPU.

    There, oneDNN makes machine code for each number of rows that it meets, which takes longer
    than the product itself, and keeps it: batches of sentences have hundreds.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `Linear` computes: (..., inputs) to (..., outputs)."""
    width = weight.shape[1]
    rows = inputs.numel() // width
    if not _makes_code(inputs) or not rows % ROWS_MULTIPLE:
        return F.linear(inputs, weight, bias)
    flat = inputs.reshape(rows, -1).to(torch.get_autocast_dtype("cpu"))
    outputs = F.linear(F.pad(flat, (0, 0, 0, -rows % ROWS_MULTIPLE)), weight, bias)
    return outputs[:rows].view(*inputs.shape[:-1], -1)


def _makes_code(inputs: Tensor) -> bool:
    on_cpu = inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return on_cpu and torch.is_grad_enabled()
