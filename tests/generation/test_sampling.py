import numpy as np
import pytest
import torch

from spacy_seqgen.generation import GenerationOptions, Search, Symbols
from spacy_seqgen.generation.sampling import select_rows

# A small Markov chain: the next symbol depends on the last one alone.
TEXTS = ["<pad>", "<unk>", "<s>", "</s>", *"abcdef"]
SYMBOLS = Symbols(TEXTS, 3, (0, 1, 2), lambda ids: "".join(TEXTS[i] for i in ids))


def chain(seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(TEXTS), len(TEXTS), generator=generator) * scale


def numpy_step(table):
    return lambda state, ids: (table.numpy()[ids], state)


def torch_step(table):
    return lambda state, ids: (table[torch.as_tensor(ids)], state)


def start(rows):
    return (np.zeros((len(rows), 1)),), np.full(len(rows), 2)


def run(step, keys, **options):
    search = Search(GenerationOptions(**options), step, SYMBOLS)
    return [[search.text(h) for h in found] for found in search.run(start, keys)]


@pytest.mark.parametrize("make_step", [numpy_step, torch_step])
def test_greedy_follows_the_best_path(make_step):
    table = chain()
    search = Search(GenerationOptions(temperature=0, max_length=6), make_step(table), SYMBOLS)
    ((found,),) = search.run(start, ["x"])
    expected, last, log_prob = [], 2, 0.0
    for _ in range(6):
        row = table[last].clone()
        row[[0, 1, 2]] = -torch.inf
        last = int(row.argmax())
        log_prob += float(table[expected[-1] if expected else 2].log_softmax(0)[last])
        expected.append(last)
        if last == 3:
            break
    ended = expected[-1] == 3
    assert found.ids.tolist() == expected[: len(expected) - ended]
    assert found.finish_reason == ("end" if ended else "length")
    assert found.log_prob == pytest.approx(log_prob, abs=1e-5)
    assert len(found.log_probs) == len(expected)


@pytest.mark.parametrize("make_step", [numpy_step, torch_step])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.0},
        {"temperature": 0.3},
        {"top_k": 3},
        {"top_p": 0.8, "temperature": 1.5},
        {"typical_p": 0.7, "min_p": 0.05},
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
        {"stop": ["ab", "c"], "min_length": 3},
        {"num_samples": 3},
        {"beam_size": 3, "num_samples": 2},
    ],
)
def test_results_do_not_depend_on_the_batch(make_step, options):
    keys = [f"prompt {i}" for i in range(11)]
    step = make_step(chain(scale=2.0))
    together = run(step, keys, max_length=40, **options)
    alone = [run(step, [key], max_length=40, **options)[0] for key in keys]
    backwards = run(step, keys[::-1], max_length=40, **options)[::-1]
    assert together == alone == backwards


def test_numpy_and_torch_steps_agree():
    table = chain(scale=2.0)
    keys = ["a", "b", "c"]
    for options in ({}, {"top_k": 4}, {"temperature": 0.0}):
        assert run(numpy_step(table), keys, **options) == run(torch_step(table), keys, **options)


def test_close_decisions_are_made_alone():
    """Rounding that depends on the batch must not show in the result."""
    logits = np.zeros(len(TEXTS), dtype=np.float32)
    logits[[3, 9]] = -9

    def step(state, ids):
        # As a matrix product may: the larger the batch, the other way a tie falls.
        tilted = np.tile(logits, (len(ids), 1))
        tilted[:, 4 if len(ids) == 1 else 5] += 1e-6
        return tilted, state

    assert run(step, ["x"], temperature=0.0, max_length=3) == [["aaa"]]
    assert run(step, ["x", "y"], temperature=0.0, max_length=3) == [["aaa"], ["aaa"]]


def test_nucleus_edges_are_decided_alone():
    """The same for a filter, where the choice itself is clear."""
    probs = np.full(len(TEXTS), 1e-8, dtype=np.float64)
    probs[4:7] = [0.5, 0.25, 0.25]

    def step(state, ids):
        tilted = np.tile(probs, (len(ids), 1))
        tilted[:, 5] += -1e-6 if len(ids) == 1 else 1e-6
        return np.log(tilted).astype(np.float32), state

    keys = [f"{i}" for i in range(40)]
    alone = [run(step, [key], top_k=2, max_length=4)[0] for key in keys]
    assert run(step, keys, top_k=2, max_length=4) == alone


def test_seeds_and_samples_differ():
    step = numpy_step(chain())
    lengths = {"min_length": 20, "max_length": 20}
    first = run(step, ["x"], num_samples=4, **lengths)[0]
    assert len(set(first)) == 4
    assert first[0] == run(step, ["x"], **lengths)[0][0]
    assert first != run(step, ["x"], num_samples=4, **lengths, seed=1)[0]


def test_max_length_0():
    search = Search(GenerationOptions(max_length=0), numpy_step(chain()), SYMBOLS)
    ((found,),) = search.run(start, ["x"])
    assert (found.ids.tolist(), found.finish_reason, found.log_prob) == ([], "length", 0.0)
    assert run(numpy_step(chain()), ["x"], max_length=0, beam_size=2) == [[""]]


def test_min_length_holds_the_end_back():
    table = chain()
    table[:, 3] = 20.0
    assert run(numpy_step(table), ["x"], max_length=9) == [[""]]
    texts = run(numpy_step(table), ["x", "y"], max_length=9, min_length=4)
    assert [len(text) for (text,) in texts] == [4, 4]
    texts = run(torch_step(table), ["x"], max_length=9, min_length=4, top_k=5)
    assert len(texts[0][0]) == 4


def test_special_symbols_are_never_generated():
    table = chain()
    table[:, [0, 1, 2]] = 50.0
    for options in ({}, {"top_k": 2}, {"beam_size": 2}, {"temperature": 0.0}):
        (text,) = run(numpy_step(table), ["x"], max_length=30, **options)[0]
        assert "<" not in text


def test_everything_forbidden_ends_the_text():
    (text,) = run(numpy_step(chain()), ["x"], no_repeat_ngram_size=1, min_length=50, max_length=99)[
        0
    ]
    assert sorted(text) == list("abcdef")


def test_stop_string():
    table = torch.full((len(TEXTS), len(TEXTS)), -20.0)
    for here, there in ((2, 4), (4, 5), (5, 6), (6, 7), (7, 4)):  # a b c d a b c d ...
        table[here, there] = 0.0
    step = numpy_step(table)
    search = Search(GenerationOptions(temperature=0, stop=["cd"]), step, SYMBOLS)
    ((found,),) = search.run(start, ["x"])
    assert (search.text(found), found.finish_reason) == ("ab", "stop")
    assert run(step, ["x"], temperature=0, stop=["cd"], min_length=6) == [["abcdab"]]
    assert run(step, ["x"], temperature=0, stop=["zz"], max_length=5) == [["abcda"]]


@pytest.mark.parametrize(
    "options", [{}, {"stop": ["ca", "ddd"]}, {"top_p": 0.9}, {"max_length": 200}]
)
def test_stream_is_what_run_returns(options):
    search = Search(GenerationOptions(**options), numpy_step(chain(scale=2)), SYMBOLS)
    for key in "abcdefgh":
        pieces = list(search.stream(start, key))
        ((found,),) = search.run(start, [key])
        assert "".join(pieces) == search.text(found)
        assert all(pieces)


def test_stream_yields_as_it_goes():
    asked = []

    def step(state, ids):
        asked.append(ids)
        return chain()[torch.as_tensor(ids)].numpy(), state

    search = Search(GenerationOptions(min_length=50), step, SYMBOLS)
    next(search.stream(start, "x"))
    assert len(asked) == 1


@pytest.mark.parametrize("options", [{"beam_size": 2}, {"num_samples": 2}])
def test_stream_refuses_several_texts(options):
    search = Search(GenerationOptions(**options), numpy_step(chain()), SYMBOLS)
    with pytest.raises(ValueError, match="beam_size and num_samples"):
        next(search.stream(start, "x"))


def test_select_rows():
    state = (torch.arange(3), (np.arange(6).reshape(3, 2),))
    kept = select_rows(state, np.array([2, 0]))
    assert kept[0].tolist() == [2, 0]
    assert kept[1][0].tolist() == [[4, 5], [0, 1]]


@pytest.mark.parametrize("as_numpy", [True, False])
@pytest.mark.parametrize("options", [{}, {"top_k": 5}])
def test_the_last_row_left_is_still_that_of_a_batch(as_numpy, options):
    """Rounding that a batch left in the state must not decide when one row is left."""

    def step(state, ids):
        (kind,), steps = state[:1], state[1]
        logits = np.full((len(ids), len(TEXTS)), -50.0, np.float32)
        ends = (kind[:, 0] == 0) & (steps[:, 0] >= 2)
        logits[ends, 3] = 50
        logits[~ends, 4] = 1
        # A tie, but for a rounding error that only a batch has.
        logits[~ends, 5] = np.where(steps[~ends, 0] >= 4, 1 + state[2][~ends, 0], 0)
        return (logits if as_numpy else torch.from_numpy(logits)), (kind, steps + 1, state[2])

    def begin(rows):
        kind = np.array(rows, dtype=np.float32)[:, None]
        error = np.full_like(kind, 1e-6 if len(rows) > 1 else -1e-6)
        return (kind, np.zeros_like(kind), error), np.full(len(rows), 2)

    search = Search(GenerationOptions(temperature=0, max_length=8, **options), step, SYMBOLS)
    together = [search.text(found[0]) for found in search.run(begin, ["x", "y"])]
    alone = [
        search.text(search.run(lambda _, row=row: begin([row]), [key])[0][0])
        for row, key in enumerate("xy")
    ]
    assert together == alone


@pytest.mark.parametrize("temperature", [1e-4, 0.5])
def test_the_text_ends_where_everything_is_forbidden(temperature):
    search = Search(
        GenerationOptions(
            max_length=40, min_length=30, no_repeat_ngram_size=1, temperature=temperature, top_k=3
        ),
        torch_step(chain()),
        SYMBOLS,
    )
    ((found,),) = search.run(start, ["x"])
    assert found.finish_reason == "end"
    assert len(set(found.ids.tolist())) == len(found.ids) <= 6
    assert not {0, 1, 2} & set(found.ids.tolist())
