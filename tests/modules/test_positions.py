import math

import pytest
import torch

from spacy_seqgen.models.transformer_translation import build_transformer_seq2seq
from spacy_seqgen.modules.positions import (
    LearnedPositions,
    SinusoidalPositions,
    _turn,
    rotate,
    rotation,
)
from spacy_seqgen.modules.transformer_seq2seq import TransformerSeq2Seq


def test_waves():
    found = SinusoidalPositions(4)(torch.arange(3, 5))
    expected = [math.sin(3), math.cos(3), math.sin(0.03), math.cos(0.03)]
    assert found.shape == (2, 4)
    assert found[0].tolist() == pytest.approx(expected)


def test_learned_positions_begin_as_waves():
    places = torch.arange(5)
    learned = LearnedPositions(6, 4)
    found = learned(places)
    torch.testing.assert_close(found[:4], SinusoidalPositions(6)(places[:4]))
    assert torch.equal(found[4], found[3])  # behind the last
    found.sum().backward()
    assert learned.table.weight.grad[:, 0].tolist() == [1.0, 1.0, 1.0, 2.0]


def test_rotation_by_hand():
    """Su et al. (2021), equation 34: pairs of values turn, the first by one radian a place."""
    states = torch.tensor([1.0, 0.0, 0.0, 2.0]).view(1, 1, 1, 4)
    found = rotate(states, rotation(torch.tensor([3]), 4)).flatten().tolist()
    slow = 3 * 10000**-0.5
    expected = [math.cos(3), math.sin(3), -2 * math.sin(slow), 2 * math.cos(slow)]
    assert found == pytest.approx(expected)
    assert rotate(states, None) is states


def test_products_know_how_far_apart_two_places_are():
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 8)

    def product(one, two):
        turned = (
            rotate(x, rotation(torch.tensor([at]), 8)) for x, at in ((query, one), (key, two))
        )
        return float(math.prod(turned).sum())

    assert product(7, 4) == pytest.approx(product(107, 104), abs=1e-4)
    assert product(7, 4) != pytest.approx(product(4, 7), abs=1e-2)


def test_devices_without_complex_numbers():
    torch.manual_seed(0)
    states, by = torch.randn(2, 5, 3, 8, requires_grad=True), rotation(torch.arange(5), 8)
    expected = _turn(states.unflatten(-1, (-1, 2)), by[:, None]).flatten(-2)
    torch.testing.assert_close(rotate(states, by), expected)
    gradients = [
        torch.autograd.grad(x.square().sum(), states) for x in (rotate(states, by), expected)
    ]
    torch.testing.assert_close(*gradients)
    assert rotate(states.bfloat16(), by).dtype == torch.bfloat16
    assert rotate(states.double(), by).dtype == torch.double


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_the_order_of_symbols_matters(positions):
    torch.manual_seed(0)
    net = TransformerSeq2Seq(
        9, 9, width=8, num_layers=1, num_heads=2, inner_size=8, positions=positions
    ).eval()
    sources = torch.tensor([[5, 6, 7, 3], [7, 6, 5, 3]])
    memory = net.start(sources, torch.tensor([4, 4])).memories[0].values
    # The same symbols, but for their order.
    assert not torch.allclose(memory[0].sum(1), memory[1].sum(1), atol=1e-4)


def test_heads_that_can_not_turn():
    with pytest.raises(ValueError, match=r"heads of an even width, got 12 / 4 = 3"):
        build_transformer_seq2seq(width=12, num_heads=4, positions="rotary")
