"""Cross-entropy with label smoothing."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .linear import ROWS_MULTIPLE
from .output_layer import OutputLayer

_IN_CACHE = 2**19  # values of a CPU, 2 MB
_ROWS = 512  # whose logits are computed together on a CPU
_LOG2_E = math.log2(math.e)


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
    return _OfLogits.apply(logits, targets, smoothing)


def output_cross_entropy(
    states: Tensor, output: OutputLayer, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """`smoothed_cross_entropy` of the logits that a layer makes of states: shape (n, width).

    There is never more than one matrix of (n, symbols), which holds logits and then gradients:
    with thousands of symbols, moving it in memory takes longer than to compute it.
    """
    return _OfStates.apply(states, output.used, output.bias, targets, smoothing)


class _OfLogits(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        gradient = torch.empty_like(logits)
        loss, nll = _compute(logits, targets, smoothing, gradient)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * d_loss[:, None]).to(gradient.dtype), None, None


class _OfStates(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        kind, count = states.device.type, len(states)
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
        extra = -count % ROWS_MULTIPLE if kind == "cpu" and dtype == torch.bfloat16 else 0
        inputs = nn.functional.pad(states.to(dtype), (0, 0, 0, extra))
        weights = weight.to(dtype)
        gradient = inputs.new_empty(len(inputs), len(weight))
        size = _ROWS if kind == "cpu" else len(inputs)
        found = []
        for first in range(0, len(inputs), size or 1):
            logits, rows = gradient[first : first + size], slice(first, min(first + size, count))
            torch.addmm(bias.to(dtype), inputs[first : first + size], weights.t(), out=logits)
            part = logits[: rows.stop - first]
            found.append(_compute(part, targets[rows], smoothing, part))
        gradient[count:] = 0
        ctx.save_for_backward(gradient, inputs, weights)
        ctx.dtypes = states.dtype, weight.dtype
        loss, nll = map(torch.cat, zip(*found, strict=True)) if found else states.new_empty(2, 0)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Any, ...]:
        gradient, inputs, weights = ctx.saved_tensors
        kind, weight_kind = ctx.dtypes
        scales = nn.functional.pad(d_loss, (0, len(inputs) - len(d_loss)))
        d_states = ((gradient @ weights) * scales[:, None])[: len(d_loss)].to(kind)
        scaled = (inputs * scales[:, None]).to(inputs.dtype)
        d_weight = (gradient.t() @ scaled).to(weight_kind)
        d_bias = (gradient.t() @ scales.to(inputs.dtype)).to(weight_kind)
        return d_states, d_weight, d_bias, None, None


def _compute(
    logits: Tensor, targets: Tensor, smoothing: float, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """What `smoothed_cross_entropy` returns, and the gradient in closed form, softmax -
    smoothed target: some rows at a time, which stay in the processor's cache.

    gradient (Tensor): Where it goes; may be the logits.
    """
    precision = torch.promote_types(logits.dtype, torch.float32)
    loss, nll = (logits.new_empty(len(logits), dtype=precision) for _ in range(2))
    spread = smoothing / logits.shape[1]
    for rows in _parts(logits):
        # Where they are of this precision already, and nobody needs them, in their own place.
        part, true = logits[rows].to(precision, copy=logits is not gradient), targets[rows, None]
        chosen = part.gather(1, true)[:, 0]
        mean = part.mean(1) if smoothing else chosen
        highest = part.amax(1, keepdim=True)
        # PyTorch's powers of 2 take a third of the time of its powers of e.
        sums = part.sub_(highest).mul_(_LOG2_E).exp2_().sum(1, keepdim=True)
        log_sum = (sums.log() + highest)[:, 0]
        nll[rows] = log_sum - chosen
        loss[rows] = log_sum - torch.lerp(chosen, mean, smoothing)
        part.div_(sums).sub_(spread)
        part.scatter_add_(1, true, part.new_full(true.shape, smoothing - 1))
        if part.data_ptr() != gradient[rows].data_ptr():
            gradient[rows] = part
    return loss, nll


def _parts(logits: Tensor) -> Iterator[slice]:
    size = max(1, _IN_CACHE // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    return (slice(first, first + size) for first in range(0, len(logits), size or 1))
