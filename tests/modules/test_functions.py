"""Functions that replace PyTorch's own because they are faster."""

import pytest
import torch
from torch.nn import functional as F

from spacy_seqgen.modules.dropout import Dropout
from spacy_seqgen.modules.loss import smoothed_cross_entropy
from spacy_seqgen.modules.tanh import fast_tanh


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_cross_entropy_is_that_of_pytorch(smoothing, scale):
    torch.manual_seed(0)
    logits = (torch.randn(7, 11) * scale).requires_grad_()
    targets, weights = torch.randint(0, 11, (7,)), torch.rand(7)
    loss, nll = smoothed_cross_entropy(logits, targets, smoothing)
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")
    assert torch.allclose(loss, expected, rtol=1e-5, atol=1e-5)
    assert torch.allclose(nll, F.cross_entropy(logits, targets, reduction="none"), atol=1e-5)
    assert not nll.requires_grad
    (gradient,) = torch.autograd.grad(loss, logits, weights)
    (expected_gradient,) = torch.autograd.grad(expected, logits, weights)
    assert torch.allclose(gradient, expected_gradient, atol=1e-6)


def test_cross_entropy_in_double_precision():
    logits = torch.randn(3, 5, dtype=torch.double, requires_grad=True)
    targets = torch.tensor([0, 4, 2])
    assert torch.autograd.gradcheck(lambda x: smoothed_cross_entropy(x, targets, 0.2)[0], logits)


def test_tanh_is_that_of_pytorch():
    values = torch.linspace(-40, 40, 999, requires_grad=True)
    assert torch.allclose(fast_tanh(values), torch.tanh(values), atol=2e-7)
    (gradient,) = torch.autograd.grad(fast_tanh(values).sum(), values)
    (expected,) = torch.autograd.grad(torch.tanh(values).sum(), values)
    assert torch.allclose(gradient, expected, atol=1e-6)
    assert torch.equal(fast_tanh(values.double()), torch.tanh(values.double()))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_the_rate_and_keeps_the_mean(rate, dtype):
    torch.manual_seed(0)
    dropout = Dropout(rate)
    ones = torch.ones(333, 301, dtype=dtype, requires_grad=True)
    dropped = dropout(ones)
    share = float((dropped == 0).float().mean())
    # 100,000 draws: one standard deviation is 0.0016 at most
    assert share == pytest.approx(rate, abs=0.008)
    kept = dropped[dropped != 0]
    assert torch.allclose(kept.float(), torch.tensor(1 / (1 - rate)), rtol=1e-2)
    (gradient,) = torch.autograd.grad(dropped.sum(), ones)
    assert torch.equal(gradient, dropped)
    # Neither rows nor columns are dropped together.
    assert (dropped == 0).float().mean(0).std() < 0.05
    assert (dropped == 0).float().mean(1).std() < 0.05


def test_dropout_follows_the_seed_and_is_off_outside_training():
    dropout, values = Dropout(0.5), torch.randn(5, 7)
    torch.manual_seed(1)
    first = dropout(values)
    torch.manual_seed(1)
    assert torch.equal(dropout(values), first)
    assert not torch.equal(dropout(values), first)
    assert torch.equal(dropout.eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)
    assert torch.equal(Dropout(1.0)(values), torch.zeros_like(values))
    assert Dropout(0.5)(torch.empty(0, 3)).shape == (0, 3)
