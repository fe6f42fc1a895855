import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from spacy_seqgen.lengths import by_padded_size
from spacy_seqgen.pipeline.batches import CarriedState, in_time_chunks, pad_texts
from spacy_seqgen.vocabularies import BOS, EOS
from spacy_seqgen.windows import Window


def flat(*texts):
    """Texts as `encode_all` gives them."""
    ids = np.array([i for text in texts for i in text], dtype=np.int64)
    return ids, np.array([len(text) for text in texts], dtype=np.int64)


def test_padding():
    batch = pad_texts(*flat([5, 6, 7], [8], []), [BOS, 4, BOS], [False, True, True])
    assert batch.targets.tolist() == [[5, 6, 7], [8, EOS, 0], [EOS, 0, 0]]
    assert batch.inputs.tolist() == [[BOS, 5, 6], [4, 8, EOS], [BOS, EOS, 0]]
    assert batch.lengths.tolist() == [3, 2, 1]


def test_nothing_to_pad():
    batch = pad_texts(*flat(), [], [])
    assert batch.targets.shape == (0, 0)
    assert list(in_time_chunks(batch, 4)) == []
    assert pad_texts(*flat([]), [BOS], [False]).targets.shape == (1, 0)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(1, 9))
def test_chunks_hold_every_symbol_once(lengths, size):
    texts = [list(range(5, 5 + n)) for n in lengths]
    batch = pad_texts(*flat(*texts), [BOS] * len(texts), [False] * len(texts))
    seen = [[] for _ in texts]
    for rows, piece in in_time_chunks(batch, size):
        assert piece.targets.shape[1] == piece.lengths.max() <= size
        for place, row in enumerate(rows):
            seen[row] += piece.targets[place, : piece.lengths[place]].tolist()
    assert seen == texts


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 200), st.integers(0, 30))
def test_groups_stay_within_the_limit(lengths, limit, extra):
    groups = list(by_padded_size(lengths, limit, extra))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        size = len(group) * (max(lengths[i] for i in group) + extra)
        assert size <= limit or len(group) == 1


def make_state(rows):
    return (torch.arange(rows * 2, dtype=torch.float32).reshape(rows, 1, 2) + 1,)


def windows(*spans):
    return [Window("text", start, stop, False) for start, stop in spans]


def zeros(rows):
    return (torch.zeros(rows, 1, 2),)


def remembered():
    carried = CarriedState()
    batch = pad_texts(*flat([5, 6], [7, 8], [9]), [BOS] * 3, [False] * 3)
    carried.remember(windows((0, 2), (10, 12), (20, 21)), make_state(3), batch)
    return carried


def test_windows_that_follow_get_the_state_and_the_symbol_before():
    state, before = remembered().begin(windows((12, 14), (2, 4), (50, 52)), zeros)
    assert state[0][:, 0].tolist() == [[3, 4], [1, 2], [0, 0]]
    assert before == [8, 6, BOS]


def test_states_in_bfloat16_are_carried_to_other_rows():
    carried = remembered()
    carried._state = tuple(item.bfloat16() for item in carried._state)
    expected, _ = remembered().begin(windows((12, 14), (2, 4), (50, 52)), zeros)
    found, _ = carried.begin(windows((12, 14), (2, 4), (50, 52)), zeros)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)  # small whole numbers


def test_rows_behind_which_there_was_padding_are_forgotten():
    state, before = remembered().begin(windows((21, 23), (0, 2), (1, 3)), zeros)
    assert (state[0] == 0).all()
    assert before == [BOS] * 3


def test_docs_that_are_no_windows_begin_anew():
    state, before = remembered().begin([None, *windows((2, 4)), None], zeros)
    assert state[0][:, 0].tolist() == [[0, 0], [1, 2], [0, 0]]
    assert before == [BOS, 6, BOS]


def test_the_end_of_a_text_is_not_carried_on():
    carried = CarriedState()
    batch = pad_texts(*flat([5, 6]), [BOS], [True])
    carried.remember([Window("text", 0, 2, True)], make_state(1), batch)
    _, before = carried.begin(windows((2, 4)), zeros)
    assert before == [BOS]


def test_round_trip():
    carried, other = remembered(), CarriedState()
    other.from_tensors(carried.to_tensors(), torch.device("cpu"))
    wanted = carried.begin(windows((12, 14), (2, 4), (50, 52)), zeros)
    found = other.begin(windows((12, 14), (2, 4), (50, 52)), zeros)
    assert torch.equal(wanted[0][0], found[0][0])
    assert wanted[1] == found[1]
    empty = CarriedState()
    empty.from_tensors(CarriedState().to_tensors(), torch.device("cpu"))
    assert empty.begin(windows((0, 1)), zeros)[1] == [BOS]
