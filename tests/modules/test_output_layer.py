import copy

import pytest
import torch
from torch import nn

from spacy_seqgen.modules import output_layer
from spacy_seqgen.modules.output_layer import OutputLayer

half = pytest.mark.skipif(
    torch.backends.quantized.engine not in ("x86", "fbgemm"), reason="no FBGEMM"
)


def test_it_is_a_linear_layer_in_training():
    torch.manual_seed(0)
    layer, inputs = OutputLayer(6, 9), torch.randn(2, 3, 6)
    expected = nn.functional.linear(inputs, layer.weight, layer.bias)
    torch.testing.assert_close(layer(inputs), expected)
    with torch.no_grad():
        torch.testing.assert_close(layer(inputs), expected)


@half
def test_predictions_have_weights_in_float16():
    torch.manual_seed(0)
    layer, inputs = OutputLayer(6, 9).eval(), torch.randn(2, 3, 6)
    rounded = layer.weight.detach().half().float()
    with torch.inference_mode():
        for rows in (inputs, inputs[0], inputs.transpose(0, 1)):
            found = layer(rows)
            torch.testing.assert_close(found, nn.functional.linear(rows, rounded, layer.bias))
            exact = nn.functional.linear(rows, layer.weight, layer.bias)
            torch.testing.assert_close(found, exact, atol=2e-3, rtol=0.0)
    assert set(layer.state_dict()) == {"weight", "bias"}


@pytest.mark.parametrize("learns", [False, True])
def test_a_table_may_have_more_rows_than_there_are_symbols(learns):
    torch.manual_seed(0)
    layer, table = OutputLayer(6, 9), nn.Embedding(12, 6)
    layer.weight = table.weight
    inputs = torch.randn(2, 3, 6)
    with torch.set_grad_enabled(learns):
        found = layer.train(learns)(inputs)
    expected = nn.functional.linear(inputs, table.weight[:9], layer.bias)
    torch.testing.assert_close(found, expected, atol=0.0 if learns else 2e-3, rtol=0.0)
    if learns:
        found.sum().backward()
        assert table.weight.grad[:9].all() and not table.weight.grad[9:].any()


@half
@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_weights_that_float16_can_not_hold(value):
    layer, inputs = OutputLayer(2, 2).eval(), torch.ones(1, 2)
    with torch.no_grad():
        layer.weight[0, 0] = value
        expected = nn.functional.linear(inputs, layer.weight, layer.bias)
        torch.testing.assert_close(layer(inputs), expected, equal_nan=True)


def test_without_fbgemm(monkeypatch):
    monkeypatch.setattr(output_layer, "_can_pack", lambda inputs: False)
    layer, inputs = OutputLayer(6, 9).eval(), torch.randn(2, 6)
    with torch.no_grad():
        expected = nn.functional.linear(inputs, layer.weight, layer.bias)
        assert torch.equal(layer(inputs), expected)


def test_new_weights_count():
    layer, inputs = OutputLayer(2, 2).eval(), torch.ones(1, 2)
    with torch.no_grad():
        layer(inputs)
        layer.weight.fill_(1.0)
        layer.bias.zero_()
        assert layer(inputs).tolist() == [[2.0, 2.0]]
        layer.load_state_dict({"weight": torch.zeros(2, 2), "bias": torch.ones(2)})
        assert layer(inputs).tolist() == [[1.0, 1.0]]
        assert copy.deepcopy(layer)._packed is None
        assert layer(torch.zeros(0, 2)).shape == (0, 2)


def test_a_copy_in_use_has_weights_of_its_own():
    layer, inputs = OutputLayer(2, 2).eval(), torch.ones(1, 2)
    with torch.no_grad():
        layer(inputs)
        other = copy.deepcopy(layer)
        other.weight.fill_(1.0)
        other.bias.fill_(1.0)
        assert other(inputs).tolist() == [[3.0, 3.0]]


def test_gradients_reach_the_weights_in_eval_mode():
    layer = OutputLayer(2, 2).eval()
    layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad is not None
