import numpy as np
import pytest
import torch

from spacy_seqgen.modules import attention as attention_module
from spacy_seqgen.modules.attention import ATTENTIONS, DotAttention

BATCH, TIME, WIDTH, QUERIES, ASKING = 3, 5, 8, 2, 6


@pytest.fixture(params=sorted(ATTENTIONS))
def attention(request):
    torch.manual_seed(0)
    return ATTENTIONS[request.param](WIDTH, ASKING)


@pytest.fixture
def mask():
    return torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]).bool()


def test_weights_are_a_distribution_over_what_is_there(attention, mask):
    memory = attention.remember(torch.randn(BATCH, TIME, WIDTH), mask)
    context, weights = attention(torch.randn(BATCH, QUERIES, ASKING), memory)
    assert context.shape == (BATCH, QUERIES, WIDTH)
    assert weights.shape == (BATCH, QUERIES, TIME)
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, QUERIES))
    assert (weights[~mask[:, None].expand_as(weights)] == 0).all()


def test_context_is_the_weighted_mean(attention, mask):
    memory = attention.remember(torch.randn(BATCH, TIME, WIDTH), mask)
    context, weights = attention(torch.randn(BATCH, QUERIES, ASKING), memory)
    expected = np.einsum("bqt,btw->bqw", weights.detach(), memory.values)
    np.testing.assert_allclose(context.detach(), expected, atol=1e-5)


def test_padding_changes_nothing(attention, mask):
    values, queries = torch.randn(BATCH, TIME, WIDTH), torch.randn(BATCH, QUERIES, ASKING)
    together, _ = attention(queries, attention.remember(values, mask))
    alone, _ = attention(queries[1:2], attention.remember(values[1:2, :2], mask[1:2, :2]))
    torch.testing.assert_close(together[1:2], alone)


def test_dot_is_the_dot_product():
    """Luong et al. (2015), equations 7 and 8, by hand."""
    attention = DotAttention(2, 2)
    values = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    memory = attention.remember(values, torch.ones(1, 2, dtype=torch.bool))
    _, weights = attention(torch.tensor([[[1.0, 1.0]]]), memory)
    assert weights[0, 0].tolist() == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)])


def test_additive_is_the_formula_of_bahdanau():
    """v . tanh(W s + U h), appendix A.1.2, by hand."""
    torch.manual_seed(1)
    attention = ATTENTIONS["additive"](WIDTH, ASKING)
    values, query = torch.randn(1, TIME, WIDTH), torch.randn(1, 1, ASKING)
    scores = attention.score(query, attention.make_keys(values))[0, 0]
    w, u, v = attention.query.weight, attention.key, attention.energy.weight[0]
    expected = [v @ torch.tanh(w @ query[0, 0] + u(values[0, t])) for t in range(TIME)]
    torch.testing.assert_close(scores, torch.stack(expected))


def test_scores_in_pieces_are_the_same(monkeypatch):
    torch.manual_seed(0)
    module = ATTENTIONS["additive"](6, 4)
    memory = module.remember(torch.randn(2, 5, 6), torch.ones(2, 5, dtype=torch.bool))
    queries = torch.randn(2, 7, 4)
    whole = module(queries, memory)
    monkeypatch.setattr(attention_module, "_MAX_HIDDEN", 2 * memory.keys.numel())
    with torch.no_grad():
        pieces = module(queries, memory)
    for one, two in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one, two)
