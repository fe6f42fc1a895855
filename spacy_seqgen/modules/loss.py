"""Cross-entropy with label smoothing."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy with a share of the probability spread over all symbols (Szegedy et
    al. 2016, https://arxiv.org/abs/1512.00567).

    logits (Tensor): Shape (n, symbols), float32.
    targets (Tensor): Shape (n,), int64.
    smoothing (float): That share, from 0 to 1.
    RETURNS (tuple[Tensor, Tensor]): Shape (n,) both, in nats: the loss, and the negative
        log-likelihood of the targets, which has no gradient.
    """
    return _SmoothedCrossEntropy.apply(logits, targets, smoothing)


class _SmoothedCrossEntropy(torch.autograd.Function):
    """With the gradient in closed form, softmax - smoothed target: half the passes over
    (n, symbols) that PyTorch's own functions make one after the other."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        highest = logits.amax(1, keepdim=True)
        exps = (logits - highest).exp_()
        sums = exps.sum(1)
        log_sum = sums.log() + highest[:, 0]
        nll = log_sum - logits.gather(1, targets[:, None])[:, 0]
        ctx.save_for_backward(exps, sums, targets)
        ctx.smoothing = smoothing
        ctx.mark_non_differentiable(nll)
        if not smoothing:
            return nll.clone(), nll
        return (1 - smoothing) * nll + smoothing * (log_sum - logits.mean(1)), nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        exps, sums, targets = ctx.saved_tensors
        spread = d_loss * (ctx.smoothing / exps.shape[1])
        gradient = torch.addcmul(-spread[:, None], exps, (d_loss / sums)[:, None])
        chosen = d_loss * (ctx.smoothing - 1)
        return gradient.scatter_add_(1, targets[:, None], chosen[:, None]), None, None
