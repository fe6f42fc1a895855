import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_seqgen.generation.noise import Noise, row_key


def make(keys, vocabulary=9, **kwargs):
    options = {"scale": 1.0, "suppress": [0, 1], "end": 3, "min_length": 0, "max_length": 1000}
    return Noise(keys, vocabulary, **(options | kwargs))


def test_rows_do_not_depend_on_each_other():
    alone = make([7])
    together = make([5, 7, 6])
    for step in range(150):
        assert np.array_equal(alone.at(step)[0], together.at(step)[1])


@given(st.integers(0, 140))
def test_rows_stay_the_same_when_others_leave(leave_at):
    alone, together = make([7]), make([5, 7, 6])
    for step in range(150):
        row = 1 if step <= leave_at else 0
        assert np.array_equal(alone.at(step)[0], together.at(step)[row])
        if step == leave_at:
            together.select(np.array([1, 2]))


def test_blocks_of_any_length_give_the_same_stream(monkeypatch):
    expected = [make([7]).at(0)]
    noise = make([7])
    expected = [noise.at(step).copy() for step in range(100)]
    monkeypatch.setattr("spacy_seqgen.generation.noise._BLOCK_STEPS", 7)
    noise = make([7])
    assert all(np.array_equal(noise.at(step), expected[step]) for step in range(100))


def test_suppressed_symbols_and_early_ends():
    noise = make([1, 2], min_length=2)
    for step in range(4):
        now = noise.at(step)
        assert np.isneginf(now[:, [0, 1]]).all()
        assert np.isneginf(now[:, 3]).all() == (step < 2)
        assert np.isfinite(now[:, 4:]).all()


def test_greedy_has_no_noise():
    assert (make([1], scale=0.0).at(0)[:, 2:] == 0).all()


def test_samples_follow_the_softmax():
    probs = np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32)
    noise = make(list(range(200)), vocabulary=4, suppress=[])
    counts = np.zeros(4)
    for step in range(200):
        chosen = (np.log(probs) + noise.at(step)).argmax(1)
        counts += np.bincount(chosen, minlength=4)
    # 40,000 draws: one standard deviation is 0.0025 at most
    assert np.abs(counts / counts.sum() - probs).max() < 0.01


@pytest.mark.parametrize("other", [(1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "", 0)])
def test_keys_differ(other):
    assert row_key(0, "a", 0) == row_key(0, "a", 0)
    assert row_key(0, "a", 0) != row_key(*other)


def test_keys_take_any_text():
    assert row_key(0, "\ud800\0é", 0) >= 0
