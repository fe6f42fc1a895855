import copy

import torch
from torch import nn

from spacy_seqgen.modules.output_layer import OutputLayer


def test_it_is_a_linear_layer():
    torch.manual_seed(0)
    layer, inputs = OutputLayer(6, 9), torch.randn(2, 3, 6)
    expected = nn.functional.linear(inputs, layer.weight, layer.bias)
    torch.testing.assert_close(layer.train()(inputs), expected)
    layer.eval()
    with torch.inference_mode():
        for rows in (inputs, inputs[0]):
            found = layer(rows)
            torch.testing.assert_close(found, nn.functional.linear(rows, layer.weight, layer.bias))
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_new_weights_count():
    layer, inputs = OutputLayer(2, 2).eval(), torch.ones(1, 2)
    with torch.no_grad():
        layer(inputs)
        layer.weight.fill_(1.0)
        layer.bias.zero_()
        assert layer(inputs).tolist() == [[2.0, 2.0]]
        layer.load_state_dict({"weight": torch.zeros(2, 2), "bias": torch.ones(2)})
        assert layer(inputs).tolist() == [[1.0, 1.0]]
        assert copy.deepcopy(layer)._transposed is None
        assert layer(torch.zeros(0, 2)).shape == (0, 2)


def test_gradients_reach_the_weights_in_eval_mode():
    layer = OutputLayer(2, 2).eval()
    layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad is not None
