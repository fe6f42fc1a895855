import math

import pytest
import torch

from spacy_seqgen.models.transformer_translation import build_transformer_seq2seq
from spacy_seqgen.modules import transformer_seq2seq
from spacy_seqgen.modules.positions import (
    LearnedPositions,
    SinusoidalPositions,
    _turn,
    rotate,
    rotation,
)
from spacy_seqgen.modules.transformer_layers import (
    DecoderLayer,
    EncoderLayer,
    MultiHeadAttention,
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
    assert rotate(states.double(), by).dtype == torch.double


def test_turning_in_bfloat16_loses_no_more_than_bfloat16_does():
    torch.manual_seed(0)
    states, by = torch.randn(2, 5, 3, 8), rotation(torch.arange(200, 205), 8)
    found = rotate(states.bfloat16(), by)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, rotate(states.bfloat16().float(), by).bfloat16())
    torch.testing.assert_close(found.float(), rotate(states, by), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("learns", [True, False])
def test_attention_that_turns_symbol_by_symbol(learns):
    """Su et al. (2021), equation 16: a key is turned by how far it is ahead of the query, and
    what is found there is not turned at all."""
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2)
    states, turn = torch.randn(1, 5, 8), rotation(torch.arange(40, 45), 4)
    with torch.set_grad_enabled(learns):
        found = attention(states, attention.remember(states, turn), None, True, turn)[0]
    queries = attention.query(states).view(5, 2, 4)
    keys, values = (x.reshape(5, 2, 4) for x in attention.keys_values(states).chunk(2, -1))
    expected = []
    for at in range(5):
        ahead = rotation(torch.arange(-at, 1), 4)
        turned = rotate(keys[None, : at + 1], ahead)[0]
        scores = (queries[at] * turned).sum(-1) / math.sqrt(4)
        expected.append((scores.softmax(0)[..., None] * values[: at + 1]).sum(0).flatten())
    expected = attention.output(torch.stack(expected))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_an_encoder_layer_knows_distances_only():
    torch.manual_seed(0)
    layer, states = EncoderLayer(8, 2, 8).eval(), torch.randn(2, 5, 8)
    mask = torch.ones(2, 1, 1, 5, dtype=torch.bool)

    def read(places):
        return layer(states, mask, rotation(places, 4))

    places = torch.arange(5)
    expected = read(places)
    torch.testing.assert_close(read(places + 100), expected, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(read(places * 2), expected, atol=1e-3)
    assert not torch.allclose(read(places * 0), expected, atol=1e-3)
    torch.testing.assert_close(read(places * 0), layer(states, mask))


def test_a_decoder_layer_knows_distances_only():
    torch.manual_seed(0)
    layer, states, source = DecoderLayer(8, 2, 8).eval(), *torch.randn(2, 2, 5, 8)
    memory = layer.remember(source, torch.ones(2, 5, dtype=torch.bool))

    def write(places):
        turn = None if places is None else rotation(places, 4)
        return layer(states, None, memory, False, turn)[0]

    places = torch.arange(5)
    expected = write(places)
    torch.testing.assert_close(write(places + 100), expected, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(write(places * 2), expected, atol=1e-3)
    assert not torch.allclose(write(places * 0), expected, atol=1e-3)
    torch.testing.assert_close(write(places * 0), write(None))


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_the_order_of_symbols_matters(positions):
    torch.manual_seed(0)
    net = TransformerSeq2Seq(
        9, 9, width=8, num_layers=1, num_heads=2, inner_size=8, positions=positions
    ).eval()
    sources = torch.tensor([[5, 6, 7, 3], [7, 6, 5, 3]])
    memory = net.start(sources, torch.tensor([4, 4])).memories[0].values
    # The same symbols, but for their order: what is read of them,
    assert not torch.allclose(memory[0].sum(1), memory[1].sum(1), atol=1e-4)
    # and what follows when these were written.
    state = net.start(sources[[0, 0]], torch.tensor([4, 4]))
    states = net.write(state, torch.tensor([[2, 5, 6, 7], [2, 6, 5, 7]])).states
    assert not torch.allclose(states[0, -1], states[1, -1], atol=1e-4)


def test_the_first_place_of_rotary_positions_is_any(monkeypatch):
    torch.manual_seed(0)
    sizes = {"width": 8, "num_layers": 2, "num_heads": 2, "inner_size": 8}
    net = TransformerSeq2Seq(9, 9, **sizes, positions="rotary").eval()

    def run(move):
        monkeypatch.setattr(
            transformer_seq2seq, "rotation", lambda places, width: rotation(move(places), width)
        )
        state = net.start(torch.tensor([[5, 6, 7, 3]]), torch.tensor([4]))
        first = net.write(state, torch.tensor([[2, 6, 5]]))
        second = net.write(first.state, torch.tensor([[7]]))  # its place follows theirs
        memory = state.memories[1]
        return memory.keys, memory.values, torch.cat([first.states, second.states], 1)

    expected = run(lambda places: places)
    for found, right in zip(run(lambda places: places + 7), expected, strict=True):
        torch.testing.assert_close(found, right, atol=1e-5, rtol=1e-4)
    for found, right in zip(run(lambda places: places * 0), expected, strict=True):
        assert not torch.allclose(found, right, atol=1e-3)


def test_heads_that_can_not_turn():
    with pytest.raises(ValueError, match=r"heads of an even width, got 12 / 4 = 3"):
        build_transformer_seq2seq(width=12, num_heads=4, positions="rotary")
