"""The best continuations of several hypotheses."""

import numpy as np
import pytest
import torch

from spacy_seqgen.generation import candidates
from spacy_seqgen.generation.candidates import best_candidates


@pytest.fixture(params=[0, 2**40], ids=["blocks", "all"])
def large(monkeypatch, request):
    monkeypatch.setattr(candidates, "_LARGE", request.param)


@pytest.mark.parametrize("symbols", [5, 100, 575, 576, 577, 5000])
@pytest.mark.parametrize("counts", [[1, 1, 1], [4, 4, 4], [4, 1, 3], [2, 4, 1], [1, 2, 1]])
@pytest.mark.usefixtures("large")
def test_they_are_the_best_of_all(symbols, counts):
    """Some rows have fewer hypotheses than others."""
    generator = torch.Generator().manual_seed(symbols)
    log_probs = torch.randn(sum(counts), symbols, generator=generator).log_softmax(-1)
    totals = torch.full((3, max(counts)), float("-inf"))
    for row, size in enumerate(counts):
        totals[row, :size] = torch.randn(size, generator=generator)
    count = min(9, symbols * min(counts))
    found = best_candidates(log_probs, totals.numpy(), count)
    values, parents, places = map(torch.from_numpy, found)
    assert values.shape == parents.shape == places.shape == (3, count)
    first = 0
    for row, size in enumerate(counts):
        sums = (totals[row, :size, None] + log_probs[first : first + size]).flatten()
        expected = sums.sort(descending=True)
        torch.testing.assert_close(values[row], expected.values[:count])
        assert torch.equal(places[row] - first * symbols, expected.indices[:count])
        assert torch.equal(parents[row], expected.indices[:count] // symbols)
        first += size


@pytest.mark.usefixtures("large")
def test_hypotheses_that_are_none_come_last():
    totals = np.array([[0.0, -np.inf]], np.float32)
    values, parents, places = best_candidates(torch.zeros(1, 4000).log_softmax(-1), totals, 5)
    assert (parents == 0).all() and (places < 4000).all()
    assert np.isfinite(values).all()


@pytest.mark.usefixtures("large")
def test_more_candidates_than_there_are():
    totals = np.array([[0.0, -np.inf], [0.0, 0.0]], np.float32)
    values, _, places = best_candidates(torch.zeros(3, 100).log_softmax(-1), totals, 150)
    assert np.isfinite(values).sum(1).tolist() == [100, 150]
    assert (places >= 0).all() and (places < 300).all()


def test_more_candidates_than_blocks(monkeypatch):
    monkeypatch.setattr(candidates, "_LARGE", 0)
    log_probs = torch.randn(2, 2050, generator=torch.Generator().manual_seed(0))
    values, _, _ = best_candidates(log_probs, np.zeros((1, 2), np.float32), 201)
    expected = log_probs.view(1, -1).topk(201).values
    np.testing.assert_allclose(values, expected)
