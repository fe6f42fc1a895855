"""Beam search against an exhaustive search over all sequences."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spacy_seqgen.generation import GenerationOptions, Search, Symbols
from spacy_seqgen.generation.hypotheses import Found
from spacy_seqgen.generation.pruning import length_penalty

TEXTS = ["<pad>", "<unk>", "<s>", "</s>", "a", "b"]
SYMBOLS = Symbols(TEXTS, 3, (0, 1, 2), lambda ids: "".join(TEXTS[i] for i in ids))
SPECIAL = [0, 1, 2]


def chain(seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 6, generator=generator) * scale


def start(rows):
    return (torch.zeros(len(rows), 1),), np.full(len(rows), 2)


def search_beam(table, **options):
    def step(state, ids):
        return table[torch.as_tensor(ids)], state

    search = Search(GenerationOptions(**options), step, SYMBOLS)
    return search.run(start, ["x"])[0]


def all_sequences(table, max_length, alpha):
    """(score, ids, reason) of every sequence there is, the best first."""
    log_probs = table.log_softmax(-1)
    found = []
    for length in range(1, max_length + 1):
        for ids in itertools.product((3, 4, 5), repeat=length):
            if 3 in ids[:-1] or (ids[-1] != 3 and length < max_length):
                continue
            steps = zip((2, *ids), ids, strict=False)
            total = sum(float(log_probs[a, b]) for a, b in steps)
            reason = "end" if ids[-1] == 3 else "length"
            kept = ids[:-1] if ids[-1] == 3 else ids
            found.append((total / length_penalty(length, alpha), list(kept), reason))
    return sorted(found, key=lambda item: -item[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.7, 2.0]), st.integers(1, 5))
def test_a_wide_beam_finds_the_best(seed, alpha, max_length):
    table = chain(seed)
    expected = all_sequences(table, max_length, alpha)
    size = 3**max_length
    found = search_beam(
        table, beam_size=max(size, 2), num_samples=2, length_alpha=alpha, max_length=max_length
    )
    for hypothesis, (score, ids, reason) in zip(found, expected, strict=False):
        assert hypothesis.score == pytest.approx(score, abs=1e-4)
        assert hypothesis.ids.tolist() == ids
        assert hypothesis.finish_reason == reason


def test_length_penalty_is_that_of_the_paper():
    assert length_penalty(7.0, 0.5) == pytest.approx(math.sqrt(2.0))
    assert length_penalty(7.0, 0.0) == 1.0


def test_hypotheses_are_ranked_and_distinct():
    found = search_beam(chain(1), beam_size=6, num_samples=6, max_length=8)
    scores = [hypothesis.score for hypothesis in found]
    assert scores == sorted(scores, reverse=True)
    assert len({(*tuple(h.ids.tolist()), h.finish_reason) for h in found}) == 6


def test_log_prob_is_the_unpenalised_sum():
    table = chain(2)
    for hypothesis in search_beam(table, beam_size=3, num_samples=3, max_length=6):
        ids = [*hypothesis.ids.tolist(), *([3] if hypothesis.finish_reason == "end" else [])]
        steps = zip([2, *ids], ids, strict=False)
        total = sum(float(table.log_softmax(-1)[a, b]) for a, b in steps)
        assert hypothesis.log_prob == pytest.approx(total, abs=1e-4)
        assert hypothesis.score == pytest.approx(total / length_penalty(len(ids), 0.7), abs=1e-4)


def test_what_never_ends_is_returned():
    table = chain(3)
    table[:, 3] = -50.0
    found = search_beam(table, beam_size=4, num_samples=4, max_length=5)
    assert [h.finish_reason for h in found] == ["length"] * 4
    assert all(len(h.ids) == 5 for h in found)


def test_beam_larger_than_the_vocabulary():
    found = search_beam(chain(4), beam_size=50, num_samples=3, max_length=3)
    assert len(found) == 3


def test_fewer_than_asked_if_there_are_no_more():
    found = search_beam(chain(4), beam_size=50, num_samples=50, max_length=1)
    assert sorted(tuple(h.ids.tolist()) for h in found) == [(), (4,), (5,)]


def test_stop_string_ends_a_hypothesis():
    table = torch.full((6, 6), -20.0)
    for here, there in ((2, 4), (4, 5), (5, 4)):
        table[here, there] = 0.0
    (found,) = search_beam(table, beam_size=2, stop=["bab"], max_length=20)
    assert found.finish_reason == "stop"
    assert found.ids.tolist() == [4, 5, 4, 5]


def test_repetition_penalty_and_ngram_block_apply():
    table = torch.full((6, 6), 0.0)
    table[:, 4] = 5.0
    table[:, 3] = -9.0
    (plain,) = search_beam(table, beam_size=2, max_length=6)
    (blocked,) = search_beam(table, beam_size=2, max_length=6, no_repeat_ngram_size=2)
    assert plain.ids.tolist() == [4] * 6
    pairs = list(itertools.pairwise(blocked.ids.tolist()))
    assert len(pairs) == len(set(pairs))


def test_rows_that_finish_early_leave_the_others_alone():
    table = chain(5, scale=2.0)

    def step(state, ids):
        return table[torch.as_tensor(ids)], state

    def begin(rows):
        firsts = np.array([2, 4, 5, 4])
        return (torch.zeros(len(rows), 1),), firsts[list(rows)]

    options = GenerationOptions(beam_size=3, num_samples=3, max_length=12)
    search = Search(options, step, SYMBOLS)
    together = search.run(begin, list("wxyz"))
    for row in range(4):
        (alone,) = search.run(lambda rows, row=row: begin([row]), ["q"])
        assert [h.ids.tolist() for h in alone] == [h.ids.tolist() for h in together[row]]


def count_hypotheses(table, **options):
    """How many the model computed, and what was found."""
    computed = 0

    def step(state, ids):
        nonlocal computed
        computed += len(ids)
        return table[torch.as_tensor(ids)], state

    found = Search(GenerationOptions(**options), step, SYMBOLS).run(start, ["x"])[0]
    return computed, found


def test_what_can_not_win_is_not_computed():
    """Of 3 ** 6 hypotheses of length 6 there are few that can still become the best."""
    table = chain(3, scale=2.0)
    options = {"beam_size": 3**6, "max_length": 6, "length_alpha": 0.0}
    computed, (best, *_) = count_hypotheses(table, **options)
    everything, found = count_hypotheses(table, **options, num_samples=3**6)
    assert computed < everything / 4
    assert best.ids.tolist() == found[0].ids.tolist()


def test_a_threshold_drops_what_is_far_behind():
    """ "a" is 2 nats more probable than "b", everywhere."""
    table = torch.full((6, 6), -9.0)
    table[:, 4], table[:, 5] = 0.0, -2.0
    options = {"beam_size": 4, "max_length": 10}
    every, found = count_hypotheses(table, **options)
    some, near = count_hypotheses(table, **options, beam_threshold=2.1)
    one, only = count_hypotheses(table, **options, beam_threshold=1.9)
    assert (every, one) == (1 + 2 + 4 * 8, 10)
    assert one < some < every
    assert found[0].ids.tolist() == near[0].ids.tolist() == only[0].ids.tolist() == [4] * 10


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 5), st.sampled_from([0.01, 0.3, 1.5]),
    st.sampled_from([(), ("ab",)]),
)  # fmt: skip
def test_a_threshold_leaves_as_many_as_are_returned(seed, size, count, threshold, stop):
    """Also where some have ended, and where there are hardly more than that."""
    options = {
        "beam_size": size, "num_samples": min(size, count), "max_length": 1 + seed % 7, "stop": stop
    }  # fmt: skip
    _, exact = count_hypotheses(chain(seed, 1.5), **options)
    _, found = count_hypotheses(chain(seed, 1.5), **options, beam_threshold=threshold)
    assert len(found) == len(exact)
    assert len({(*h.ids.tolist(), h.finish_reason) for h in found}) == len(found)


def test_a_threshold_does_not_wait_for_the_longest():
    """What can only win by becoming much longer is given up."""
    table = torch.full((6, 6), -20.0)
    table[2, 3], table[2, 4] = 0.0, -1.0  # nothing at all, or
    table[4, 4] = 0.0  # "aaaa ...", which costs nothing more
    for threshold, length in ((0.0, 50), (5.0, 0)):
        found = search_beam(
            table, beam_size=2, max_length=50, length_alpha=1.0, beam_threshold=threshold
        )
        assert len(found[0].ids) == length


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_what_ends_at_the_limit_is_certain(threshold):
    table = chain(5)
    table[:, 3] = -30.0
    (found,) = search_beam(table, beam_size=3, max_length=9, beam_threshold=threshold)
    assert found.finish_reason == "length" and found.certain


def test_logits_that_are_no_numbers_end_a_row():
    """Those of a broken model or transform: there is nothing to return, and the others go on."""
    tables = torch.stack([chain(1), torch.full((6, 6), float("nan"))])

    def begin(rows):
        return (torch.tensor(list(rows))[:, None],), np.full(len(rows), 2)

    def step(state, ids):
        return tables[state[0][:, 0], torch.as_tensor(ids)], state

    search = Search(GenerationOptions(beam_size=3, max_length=5), step, SYMBOLS)
    found, nothing = search.run(begin, ["a", "b"])
    assert len(found) == 1 and nothing == []


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_rows_may_have_different_numbers_of_hypotheses(threshold):
    """Whatever is in the batch: with transforms, which look at what was written, too."""
    tables = torch.stack([chain(seed, scale=1.0 + seed % 3) for seed in range(12)])

    def begin(rows):
        return (torch.tensor(list(rows))[:, None],), np.full(len(rows), 2)

    def step(state, ids):
        return tables[state[0][:, 0], torch.as_tensor(ids)], state

    repetitions = {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3}
    for more in ({}, repetitions, {"min_length": 4}, {"stop": "ab"}):
        options = GenerationOptions(
            beam_size=4, num_samples=2, max_length=15, beam_threshold=threshold, **more
        )
        search = Search(options, step, SYMBOLS)
        limits = [3 + n for n in range(12)]
        together = search.run(begin, [str(n) for n in range(12)], limits)
        for row, found in enumerate(together):
            (alone,) = search.run(lambda _, row=row: begin([row]), ["q"], [limits[row]])
            assert [h.ids.tolist() for h in alone] == [h.ids.tolist() for h in found]
            for one, other in zip(alone, found, strict=True):
                np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 1.0, 5.0]), st.integers(1, 4))
def test_a_wide_beam_finds_the_best_with_a_coverage_penalty(seed, beta, max_length):
    """Each symbol looks at two places, as a table says; what is added up is rewarded."""
    table, looks = chain(seed), chain(seed + 1)[:, :2].softmax(1)

    def step(state, ids):
        last = torch.as_tensor(ids)
        return table[last], (state[0], state[1] + looks[last])

    def penalty(state):
        return state[1].clamp(max=1.0).log().sum(1)

    def begin(rows):
        return (torch.zeros(len(rows), 1), torch.zeros(len(rows), 2)), np.full(len(rows), 2)

    expected = []
    for score, ids, reason in all_sequences(table, max_length, 0.7):
        read = [2, *ids] if reason == "end" else [2, *ids[:-1]]
        seen = sum(looks[i] for i in read)
        expected.append((score + beta * float(seen.clamp(max=1.0).log().sum()), ids))
    options = GenerationOptions(
        beam_size=max(2, 3**max_length), coverage_beta=beta, max_length=max_length
    )
    found = Search(options, step, SYMBOLS, coverage=penalty).run(begin, ["x"])[0][0]
    best = max(expected, key=lambda item: item[0])
    assert found.score == pytest.approx(best[0], abs=1e-4)
    assert found.ids.tolist() == best[1]


@pytest.mark.parametrize("options", [{"beam_size": 3}, {"num_samples": 2}])
def test_each_row_may_have_a_limit_of_its_own(options):
    table = chain(5)
    table[:, 3] = -2.0  # texts are long

    def step(state, ids):
        return table[torch.as_tensor(ids)], state

    keys, limits = ["a", "b", "c", "d"], [3, 12, 7, 50]
    search = Search(GenerationOptions(max_length=20, **options), step, SYMBOLS)
    found = search.run(start, keys, limits)
    for key, limit, hypotheses in zip(keys, limits, found, strict=True):
        own = GenerationOptions(max_length=min(limit, 20), **options)
        alone = Search(own, step, SYMBOLS).run(start, [key])[0]
        assert [h.ids.tolist() for h in hypotheses] == [h.ids.tolist() for h in alone]
        assert [h.finish_reason for h in hypotheses] == [h.finish_reason for h in alone]
    assert any(h.finish_reason == "length" for h in found[0])


@settings(max_examples=150, deadline=None)
@example(4437, 2, 2.0, 1.0, 0.0)  # the last that is returned, and one as good
@example(1225, 2, 0.7, 0.5, 0.0)
@given(
    st.integers(0, 10_000), st.integers(2, 4), st.sampled_from([0.0, 0.7, 2.0]),
    st.sampled_from([0.1, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
def test_what_is_certain_does_not_hang_on_rounding_errors(seed, size, alpha, grain, threshold):
    """With logits on a grid nearly every decision is a tie, which errors decide."""
    table = (chain(seed, 2.0) / grain).round() * grain
    options = GenerationOptions(
        beam_size=size, num_samples=1 + seed % 2, length_alpha=alpha, max_length=6,
        beam_threshold=threshold,
    )  # fmt: skip

    def run(noise):
        generator = torch.Generator().manual_seed(noise)

        def step(state, ids):
            logits = table[torch.as_tensor(ids)]
            return logits + torch.randn(logits.shape, generator=generator) * 5e-7, state

        (found,) = Search(options, step, SYMBOLS)._run(start, ["x"], [0], None)
        return all(item.certain for item in found), [item.ids.tolist() for item in found]

    results = [run(noise) for noise in range(6)]
    sure = [ids for certain, ids in results if certain]
    assert all(ids == sure[0] for ids in sure)


def test_a_tie_that_can_not_matter_is_no_doubt():
    """As label smoothing makes them: what is improbable is equally improbable."""
    table = torch.full((6, 6), -6.0)
    table[2, 4] = table[4, 5] = table[5, 3] = 6.0

    def run(size):
        step = lambda state, ids: (table[torch.as_tensor(ids)], state)  # noqa: E731
        options = GenerationOptions(beam_size=size, max_length=8)
        (found,) = Search(options, step, SYMBOLS)._run(start, ["x"], [0], None)
        return found[0]

    assert run(2).certain and run(2).ids.tolist() == [4, 5]
    table[2, 5] = 6.0  # "ab" and "b": now it does
    table[5, 3] = table[5, 4] = 1.0
    assert not run(2).certain


def test_one_that_ends_may_be_in_or_out():
    """A tie of three across the edge, of which one ends: whichever it is."""
    values = np.array([[-1, -2, -2, -2, -5, -6, -7]], dtype=np.float32)
    none = np.zeros((1, 7), np.int64)
    found = Found.make(values, none, none, values, 6)
    for place, doubt in ((0, -np.inf), (1, -2), (2, -2), (3, -2), (4, -2)):
        ended = np.zeros((1, 6), dtype=bool)
        ended[0, place] = True
        assert found.find_doubts(ended, 3).tolist() == [doubt], place
    ended = np.array([[False, True, True, True, False, False]])  # those that go on are clear
    assert found.find_doubts(ended, 3).tolist() == [-2]
    values[0, 1:4] = -2, -3, -4
    ended = np.array([[False, True, False, False, False, False]])
    assert Found.make(values, none, none, values, 6).find_doubts(ended, 3).tolist() == [-np.inf]
