import math

import pytest
import torch

from spacy_seqgen.modules.positions import LearnedPositions, SinusoidalPositions


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
