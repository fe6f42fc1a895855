"""Functions that replace PyTorch's own because they are faster."""

import types

import pytest
import torch
from torch.nn import functional as F

from spacy_seqgen.modules import decoder_steps, loss, transformer_layers
from spacy_seqgen.modules.dropout import Dropout
from spacy_seqgen.modules.linear import Linear
from spacy_seqgen.modules.loss import output_cross_entropy, smoothed_cross_entropy
from spacy_seqgen.modules.output_layer import OutputLayer
from spacy_seqgen.modules.transformer_layers import Cache, attend


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


@pytest.mark.parametrize("parts", [1, 25, 10**6])
def test_cross_entropy_of_some_rows_at_a_time(parts, monkeypatch):
    monkeypatch.setattr(loss, "_IN_CACHE", parts)
    test_cross_entropy_is_that_of_pytorch(0.1, 1.0)


def test_cross_entropy_of_nothing():
    logits = torch.zeros(0, 5, requires_grad=True)
    losses, _ = smoothed_cross_entropy(logits, torch.zeros(0, dtype=torch.long), 0.1)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.shape == (0,) and gradient.shape == (0, 5)


def test_cross_entropy_of_bfloat16_is_computed_in_float32():
    torch.manual_seed(0)
    logits = torch.randn(6, 500).bfloat16().requires_grad_()
    targets = torch.randint(0, 500, (6,))
    found, nll = smoothed_cross_entropy(logits, targets, 0.1)
    exact = logits.detach().float().requires_grad_()
    expected = F.cross_entropy(exact, targets, label_smoothing=0.1, reduction="none")
    assert found.dtype == nll.dtype == torch.float32
    assert torch.allclose(found, expected, rtol=1e-5)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), exact)
    assert gradient.dtype == torch.bfloat16
    assert torch.allclose(gradient.float(), expected_gradient, rtol=1e-2, atol=1e-6)


def make_output(width, symbols, extra):
    """With a table that has more rows than there are symbols."""
    layer = OutputLayer(width, symbols)
    layer.weight = torch.nn.Parameter(torch.randn(symbols + extra, width))
    return layer


@pytest.mark.parametrize("rows", [0, 1, 7, 511, 512, 513, 1100])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("extra", [0, 6])
def test_cross_entropy_of_an_output_layer_is_that_of_its_logits(rows, dtype, close, extra):
    torch.manual_seed(rows)
    layer = make_output(8, 50, extra)
    states, targets = torch.randn(rows, 8, requires_grad=True), torch.randint(0, 50, (rows,))
    weights, results = torch.rand(rows), []
    for function in (output_cross_entropy, lambda x, y, *rest: smoothed_cross_entropy(y(x), *rest)):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss, nll = function(states, layer, targets, 0.1)
        assert loss.dtype == nll.dtype == torch.float32 and not nll.requires_grad
        gradients = torch.autograd.grad((loss * weights).sum(), (states, layer.weight, layer.bias))
        assert [g.dtype for g in gradients] == [torch.float32] * 3
        results.append((loss, nll, *(g / max(1, g.abs().max()) for g in gradients if len(g))))
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=close, atol=close)


def test_cross_entropy_of_an_output_layer_in_double_precision():
    layer, targets = torch.nn.Linear(3, 5).double(), torch.tensor([0, 4, 2])
    states = torch.randn(3, 3, dtype=torch.double, requires_grad=True)
    inputs = (states, layer.weight, layer.bias)

    def function(x, weight, bias):
        given = types.SimpleNamespace(used=weight, bias=bias)
        return output_cross_entropy(x, given, targets, 0.2)[0]

    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("rows", [1, 127, 128, 129, 300])
def test_cross_entropy_of_an_output_layer_meets_few_numbers_of_rows(rows, monkeypatch):
    seen, whole = [], torch.mm
    monkeypatch.setattr(
        torch, "addmm", lambda b, x, y, out: seen.append(len(x)) or whole(x, y, out=out)
    )
    with torch.autocast("cpu", torch.bfloat16):
        output_cross_entropy(
            torch.randn(rows, 4), OutputLayer(4, 9), torch.zeros(rows, dtype=torch.long), 0.1
        )
    assert seen == [(rows + 127) // 128 * 128]


@pytest.mark.parametrize("shape", [(0, 8), (1, 8), (128, 8), (3, 50, 8), (2, 64, 8)])
def test_linear_in_bfloat16_is_that_of_pytorch(shape):
    torch.manual_seed(0)
    layer = Linear(8, 5)
    inputs, weights = torch.randn(shape, requires_grad=True), torch.randn(*shape[:-1], 5)
    results = []
    for function in (layer, lambda x: F.linear(x, layer.weight, layer.bias)):
        with torch.autocast("cpu", torch.bfloat16):
            outputs = function(inputs)
        assert outputs.dtype == torch.bfloat16 and outputs.shape == weights.shape
        given = (outputs.float() * weights).sum()
        gradients = torch.autograd.grad(given, (inputs, layer.weight, layer.bias))
        results.append((outputs, *gradients))
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours.float(), theirs.float(), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("rows", [1, 127, 128, 129, 300])
def test_linear_in_bfloat16_meets_few_numbers_of_rows(rows, monkeypatch):
    seen, whole = [], F.linear
    monkeypatch.setattr(F, "linear", lambda x, *rest: seen.append(len(x)) or whole(x, *rest))
    layer = Linear(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(rows, 4))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        layer(torch.randn(rows, 4))
    layer(torch.randn(rows, 4))
    assert seen == [(rows + 127) // 128 * 128, rows, rows]


@pytest.mark.parametrize("causal", [False, True])
def test_attention_that_learns_is_that_of_pytorch(causal):
    torch.manual_seed(0)
    queries, keys, values = (torch.randn(2, 3, 7, 4, requires_grad=True) for _ in range(3))
    mask = None
    if not causal:
        mask = torch.arange(7)[None, None, None] < torch.tensor([7, 4])[:, None, None, None]
    weights, found = torch.randn(2, 3, 7, 4), []
    for learns in (True, False):
        expected = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal
        )
        outputs = attend(queries, Cache(keys, values), mask, causal) if learns else expected
        gradients = torch.autograd.grad((outputs * weights).sum(), (queries, keys, values))
        found.append((outputs, *gradients))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(("most", "calls"), [(2 * 3 * 7 * 7, 0), (2 * 3 * 7 * 7 - 1, 1)])
def test_attention_of_very_long_sentences_keeps_no_weights(most, calls, monkeypatch):
    seen, whole = [], F.scaled_dot_product_attention
    monkeypatch.setattr(transformer_layers, "_MAX_WEIGHTS", most)
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda *a, **k: seen.append(1) or whole(*a, **k)
    )
    states = torch.randn(2, 3, 7, 4, requires_grad=True)
    attend(states, Cache(states, states), None, True)
    assert len(seen) == calls


def test_cross_entropy_in_double_precision():
    logits = torch.randn(3, 5, dtype=torch.double, requires_grad=True)
    targets = torch.tensor([0, 4, 2])
    assert torch.autograd.gradcheck(lambda x: smoothed_cross_entropy(x, targets, 0.2)[0], logits)


def test_tanh_is_that_of_pytorch():
    values = torch.linspace(-40, 40, 2**15)
    for part in (values, values[::100]):
        assert torch.allclose(decoder_steps._tanh(part), torch.tanh(part), atol=2e-7)


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
