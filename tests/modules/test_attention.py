import numpy as np
import pytest
import torch

from spacy_seqgen.modules import additive
from spacy_seqgen.modules import attention as attention_module
from spacy_seqgen.modules.additive import additive_scores
from spacy_seqgen.modules.attention import ATTENTIONS, DotAttention, in_parts

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
    keys, queries = torch.randn(2, 5, 4), torch.randn(2, 7, 4)
    with torch.no_grad():
        whole = module._energies(queries, keys)
        monkeypatch.setattr(attention_module, "_MAX_HIDDEN", 2 * keys.numel())
        pieces = in_parts(module._energies, queries, keys)
        expected = additive_scores(queries, keys, module.energy.weight[0])
    torch.testing.assert_close(whole, pieces)
    torch.testing.assert_close(whole, expected)


@pytest.mark.parametrize("room", [1, 40, 4 * 5 * 7 * 2, 10**6])
@pytest.mark.parametrize(
    ("batch", "count", "time"), [(3, 7, 5), (3, 1, 5), (2, 0, 5), (0, 7, 5), (0, 1, 5)]
)
def test_additive_scores_of_a_cpu_are_those_of_pytorch(room, batch, count, time, monkeypatch):
    """In parts of any size: a pair, some queries, some sentences, all."""
    monkeypatch.setattr(additive, "_IN_CACHE", room)
    torch.manual_seed(0)
    inputs = [torch.randn(batch, count, 4), torch.randn(batch, time, 4), torch.randn(4)]
    weights, results = torch.randn(batch, count, time), []
    for function in (additive_scores, lambda q, k, v: torch.tanh(q[:, :, None] + k[:, None]) @ v):
        given = [item.double().requires_grad_() for item in inputs]
        scores = function(*given)
        results.append((scores, *torch.autograd.grad((scores * weights).sum(), given)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_additive_scores_are_float32_in_a_bfloat16_training():
    module = ATTENTIONS["additive"](6, 4)
    with torch.autocast("cpu", torch.bfloat16):
        scores = module.score(torch.randn(2, 7, 4), module.make_keys(torch.randn(2, 5, 6)))
    assert scores.dtype == torch.float32
    scores.sum().backward()
    assert all(weight.grad.dtype == torch.float32 for weight in module.parameters())
