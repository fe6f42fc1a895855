import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spacy_seqgen.generation.logits import (
    NEVER,
    MinP,
    NoRepeatNgram,
    RepetitionPenalty,
    Suppress,
    Temperature,
    TopK,
    TopP,
    TypicalP,
    allow_end_if_nothing_else,
    make_transforms,
)
from spacy_seqgen.generation.options import GenerationOptions

NOTHING = torch.zeros(1, 0, dtype=torch.int64)
PROBS = torch.tensor([[0.5, 0.25, 0.15, 0.1]])


def kept(transform, probs: Tensor = PROBS, generated: Tensor = NOTHING) -> list[list[int]]:
    out = transform(probs.log(), generated.expand(len(probs), -1))
    return [[i for i, value in enumerate(row) if value != NEVER] for row in out.tolist()]


def test_suppress():
    assert kept(Suppress([0, 2])) == [[1, 3]]
    one = torch.zeros(1, 1, dtype=torch.int64)
    assert kept(Suppress([3], until=1)) == [[0, 1, 2]]
    assert kept(Suppress([3], until=1), generated=one) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    "k,expected", [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])]
)
def test_top_k(k, expected):
    assert kept(TopK(k)) == [expected]


@pytest.mark.parametrize(
    "p,expected", [(0.4, [0]), (0.6, [0, 1]), (0.76, [0, 1, 2]), (0.99, [0, 1, 2, 3]), (1e-9, [0])]
)
def test_top_p_keeps_the_symbol_that_crosses(p, expected):
    assert kept(TopP(p)) == [expected]


@pytest.mark.parametrize("p,expected", [(0.9, [0]), (0.45, [0, 1]), (0.19, [0, 1, 2, 3])])
def test_min_p(p, expected):
    assert kept(MinP(p)) == [expected]


def test_typical_p_may_drop_the_most_probable():
    # Surprisals in nats: 0.22 for the first, 3.0 for the others; the entropy is 0.78.
    probs = torch.tensor([[0.8, 0.05, 0.05, 0.05, 0.05]])
    assert kept(TypicalP(0.5), probs) == [[0]]
    # Surprisals: 0.92 and 2.3; the entropy is 1.75, to which 2.3 is nearer.
    probs = torch.tensor([[0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]])
    assert 0 not in kept(TypicalP(0.5), probs)[0]


def test_temperature():
    out = Temperature(0.5)(PROBS.log(), NOTHING).softmax(-1)
    expected = PROBS**2 / (PROBS**2).sum()
    torch.testing.assert_close(out, expected)
    assert Temperature(1e-30)(PROBS.log() * 1000, NOTHING).softmax(-1).tolist() == [[1, 0, 0, 0]]


def test_repetition_penalty():
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    out = RepetitionPenalty(2.0)(logits, torch.tensor([[0, 1, 1]]))
    assert out.tolist() == [[1.0, -4.0, 1.0]]
    assert RepetitionPenalty(2.0)(logits, NOTHING) is logits


def test_no_repeat_ngram():
    zeros = torch.zeros(2, 4)
    generated = torch.tensor([[1, 2, 3, 1, 2], [1, 2, 3, 3, 3]])
    out = NoRepeatNgram(3)(zeros, generated)
    assert out[0].tolist() == [0, 0, 0, NEVER]  # 1 2 3 was there
    assert out[1].tolist() == [0, 0, 0, NEVER]  # 3 3 3 was there
    assert NoRepeatNgram(1)(zeros, generated)[0].tolist() == [0, NEVER, NEVER, NEVER]
    assert NoRepeatNgram(9)(zeros, generated) is zeros


def test_end_is_allowed_when_all_is_forbidden():
    scores = torch.tensor([[NEVER, NEVER, NEVER], [NEVER, 1.0, 2.0]])
    out = allow_end_if_nothing_else(scores, 1)
    assert out.tolist() == [[NEVER, 0.0, NEVER], [NEVER, 1.0, 2.0]]


def test_chain_is_empty_without_options():
    assert make_transforms(GenerationOptions(temperature=0.5), [0], 3) == []
    chain = make_transforms(GenerationOptions(top_k=3, temperature=0.5), [0], 3)
    assert [type(item).__name__ for item in chain] == ["Suppress", "Temperature", "TopK"]


distributions = st.lists(st.floats(-20, 20), min_size=4, max_size=12)


@given(
    distributions,
    st.sampled_from([TopK(2), TopP(0.7), MinP(0.3), TypicalP(0.6), TopP(1e-6), TypicalP(1e-6)]),
)
def test_filters_keep_something_and_change_nothing_else(values, transform):
    logits = torch.tensor([values, list(reversed(values))])
    out = transform(logits, NOTHING.expand(2, -1))
    remaining = out != NEVER
    assert remaining.any(1).all()
    assert torch.equal(out[remaining], logits[remaining])


@given(distributions, st.floats(0.05, 0.95))
def test_top_p_is_the_smallest_set(values, p):
    logits = torch.tensor([values], dtype=torch.float64)
    probs = logits.softmax(-1)[0]
    remaining = TopP(p)(logits, NOTHING)[0] != NEVER
    mass = probs[remaining].sum()
    assert mass >= p - 1e-9
    assert mass - probs[remaining].min() < p + 1e-9
    assert math.isclose(float(probs[remaining].max()), float(probs.max()))
