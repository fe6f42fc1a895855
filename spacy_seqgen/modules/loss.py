"""Cross-entropy with label smoothing."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_IN_CACHE = 2**18  # values of a CPU, 1 MB


def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy with a share of the probability spread over all symbols (Szegedy et
    al. 2016, https://arxiv.org/abs/1512.00567).

    logits (Tensor): Shape (n, symbols), of any precision; computed with is float32.
    targets (Tensor): Shape (n,), int64.
    smoothing (float): That share, from 0 to 1.
    RETURNS (tuple[Tensor, Tensor]): Shape (n,) both, in nats: the loss, and the negative
        log-likelihood of the targets, which has no gradient.
    """
    return _SmoothedCrossEntropy.apply(logits, targets, smoothing)


class _SmoothedCrossEntropy(torch.autograd.Function):
    """With the gradient in closed form, softmax - smoothed target, and some rows at a time,
    which stay in the processor's cache: all of (n, symbols) is only read, and in the gradient
    written, in the precision of the logits."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        precision = torch.promote_types(logits.dtype, torch.float32)
        loss, nll, log_sums = (logits.new_empty(len(logits), dtype=precision) for _ in range(3))
        for rows in _parts(logits):
            part = logits[rows].to(precision)
            chosen = part.gather(1, targets[rows, None])[:, 0]
            mean = part.mean(1) if smoothing else chosen
            highest = part.amax(1, keepdim=True)
            log_sum = torch.sub(part, highest).exp_().sum(1).log_().add_(highest[:, 0])
            log_sums[rows], nll[rows] = log_sum, log_sum - chosen
            loss[rows] = log_sum - torch.lerp(chosen, mean, smoothing)
        ctx.save_for_backward(logits, targets, log_sums)
        ctx.smoothing = smoothing
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, log_sums = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        spread = ctx.smoothing / logits.shape[1]
        chosen = torch.full_like(log_sums, ctx.smoothing - 1)
        for rows in _parts(logits):
            part = torch.sub(logits[rows], log_sums[rows, None]).exp_().sub_(spread)
            part.scatter_add_(1, targets[rows, None], chosen[rows, None])
            gradient[rows] = part.mul_(d_loss[rows, None])
        return gradient, None, None


def _parts(logits: Tensor) -> Iterator[slice]:
    size = max(1, _IN_CACHE // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    return (slice(first, first + size) for first in range(0, len(logits), size or 1))
