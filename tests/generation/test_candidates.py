"""The best continuations of several hypotheses."""

import pytest
import torch

from spacy_seqgen.generation import candidates
from spacy_seqgen.generation.candidates import best_candidates


@pytest.fixture(autouse=True)
def blocks(monkeypatch):
    """However few there are."""
    monkeypatch.setattr(candidates, "_LARGE", 0)


@pytest.mark.parametrize("symbols", [5, 100, 575, 576, 577, 5000])
@pytest.mark.parametrize("hypotheses", [1, 4])
def test_they_are_the_best_of_all(symbols, hypotheses):
    generator = torch.Generator().manual_seed(symbols)
    log_probs = torch.randn(3 * hypotheses, symbols, generator=generator).log_softmax(-1)
    totals = torch.randn(3, hypotheses, generator=generator)
    count = min(9, symbols * hypotheses)
    values, places = best_candidates(log_probs, totals, count)
    sums = totals[:, :, None] + log_probs.view(3, hypotheses, symbols)
    expected = sums.view(3, -1).sort(descending=True)
    assert torch.equal(places, expected.indices[:, :count])
    torch.testing.assert_close(values, expected.values[:, :count])


def test_hypotheses_that_are_none_come_last():
    totals = torch.tensor([[0.0, float("-inf")]])
    values, places = best_candidates(torch.zeros(2, 4000).log_softmax(-1), totals, 5)
    assert (places < 4000).all()
    assert values.isfinite().all()


def test_more_candidates_than_blocks():
    log_probs = torch.randn(2, 2050, generator=torch.Generator().manual_seed(0))
    values, _ = best_candidates(log_probs, torch.zeros(1, 2), 201)
    expected = log_probs.view(1, -1).topk(201).values
    torch.testing.assert_close(values, expected)
