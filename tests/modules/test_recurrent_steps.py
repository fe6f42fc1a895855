import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_seqgen.generation.sampling import select_rows
from spacy_seqgen.modules import recurrent_steps
from spacy_seqgen.modules.recurrent_lm import RecurrentLM


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["lstm", "gru"]),
    st.integers(1, 3),
    st.booleans(),
    st.integers(1, 9),
    st.integers(1, 17),
    st.integers(0, 1000),
)
def test_fast_steps_are_the_steps_of_the_module(cell, layers, tied, rows, hidden, seed):
    torch.manual_seed(seed)
    net = RecurrentLM(
        12, embedding_size=5, hidden_size=hidden, num_layers=layers, cell=cell, tied=tied
    )
    net.eval()
    step, prepare = net.stepper()
    assert step != net.step
    with torch.inference_mode():
        count = 2 if cell == "lstm" else 1
        state = tuple(torch.randn(rows, layers, hidden) for _ in range(count))
        fast = prepare(state)
        for _ in range(5):
            ids = torch.randint(0, 12, (rows,))
            expected, state = net.step(state, ids)
            logits, fast = step(fast, ids.numpy())
            np.testing.assert_allclose(logits, expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_rows_can_leave_and_come(cell):
    torch.manual_seed(0)
    net = RecurrentLM(12, embedding_size=5, hidden_size=8, num_layers=2, cell=cell).eval()
    step, prepare = net.stepper()
    with torch.inference_mode():
        ids = np.array([4, 5, 6, 7, 8, 9])
        logits, state = step(prepare(net.start(6)), ids)
        kept = np.array([5, 1, 1])
        _, expected = net.step(net.start(6), torch.from_numpy(ids))
        expected = select_rows(expected, kept)
        wanted, _ = net.step(expected, torch.from_numpy(ids[kept]))
        logits, _ = step(select_rows(state, kept), ids[kept])
        np.testing.assert_allclose(logits, wanted.numpy(), atol=1e-5)


def test_new_weights_make_new_steps():
    net = RecurrentLM(12, embedding_size=5, hidden_size=8).eval()
    step, prepare = net.stepper()
    before = step(prepare(net.start(1)), np.array([4]))[0].copy()
    net.train()
    with torch.no_grad():
        net.output.bias.add_(1.0)
    net.eval()
    step, prepare = net.stepper()
    after = step(prepare(net.start(1)), np.array([4]))[0]
    np.testing.assert_allclose(after, before + 1.0, atol=1e-5)


def test_the_state_given_is_not_that_of_the_module():
    """Steps overwrite their state; the tensors it was made from must stay."""
    net = RecurrentLM(12, embedding_size=5, hidden_size=8).eval()
    step, prepare = net.stepper()
    given = tuple(torch.ones(2, 1, 8) for _ in range(2))
    step(prepare(given), np.array([4, 5]))
    assert all((item == 1).all() for item in given)


def test_large_vocabularies_use_the_module(monkeypatch):
    monkeypatch.setattr(recurrent_steps, "_MAX_TABLE", 100)
    net = RecurrentLM(12, embedding_size=5, hidden_size=8).eval()
    assert net.stepper()[0] == net.step
