"""Hypotheses that share a source, some sources having more of them than others."""

import numpy as np
import pytest
import torch

from spacy_seqgen.modules import attention
from spacy_seqgen.modules.coverage import CoverageSteps
from spacy_seqgen.modules.recurrent_seq2seq import RecurrentSeq2Seq
from spacy_seqgen.modules.transformer_seq2seq import TransformerSeq2Seq

SOURCE = torch.tensor([[5, 6, 7, 8, 3], [9, 3, 0, 0, 0], [6, 6, 3, 0, 0]])
LENGTHS = torch.tensor([5, 2, 3])
BEGIN = 2
# Which hypotheses are kept, step by step: counts of each source are in the comments.
ROWS = (
    [0, 0, 0, 1, 2, 2],  # 3, 1, 2
    [1, 2, 3, 3, 3, 5],  # 2, 3, 1
    [0, 1, 2, 3, 4, 5],  # the same
    [0, 1, 4, 5, 5],  # 2, 1, 2
    [0, 1, 3],  # 2, 0, 1
    [0, 0, 1, 1],  # 4, 0, 0
    [2, 0],
)


def make_recurrent(**settings):
    return RecurrentSeq2Seq(10, 11, embedding_size=6, hidden_size=8, **settings)


def make_transformer(positions):
    sizes = {"width": 8, "num_layers": 2, "num_heads": 2, "inner_size": 12}
    return TransformerSeq2Seq(10, 11, **sizes, positions=positions)


NETS = {
    **{name: lambda name=name: make_recurrent(attention=name) for name in attention.ATTENTIONS},
    "feeding": lambda: make_recurrent(attention="additive", input_feeding=True),
    "none": lambda: make_recurrent(attention="none"),
    "transformer": lambda: make_transformer("sinusoidal"),
    "rotary": lambda: make_transformer("rotary"),
}


def expected_logits(net, sentence, ids):
    """Those of one hypothesis of one source, from the beginning."""
    length = LENGTHS[sentence : sentence + 1]
    state = net.start(SOURCE[sentence : sentence + 1, : int(length)], length)
    written = net.write(state, torch.tensor([[BEGIN, *ids]]), wants_weights=True)
    weights = written.weights
    return net.logits(written.states)[0, -1], None if weights is None else weights[0].sum(0)


@torch.inference_mode()
def check(net, stepper, prepare, coverage=False):
    state = prepare(net.start(SOURCE, LENGTHS))
    hypotheses = [(sentence, ()) for sentence in range(3)]
    ids = np.full(3, BEGIN)
    for rows in ROWS:
        logits, state = stepper.step(state, ids)
        for row, (sentence, written) in enumerate(hypotheses):
            expected, looked = expected_logits(net, sentence, written)
            torch.testing.assert_close(logits[row], expected, atol=1e-5, rtol=1e-4)
            if coverage:
                found = state[1][row, : len(looked)]
                torch.testing.assert_close(found, looked, atol=1e-5, rtol=1e-4)
        state = stepper.select(state, np.array(rows))
        ids = np.arange(len(rows)) % 6 + 4
        hypotheses = [
            (hypotheses[row][0], (*hypotheses[row][1], int(symbol)))
            for row, symbol in zip(rows, ids, strict=True)
        ]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("fast", [True, False])
def test_each_is_written_as_if_it_were_alone(name, fast):
    torch.manual_seed(0)
    net = NETS[name]().eval()
    stepper, prepare = net.stepper() if fast else (net, lambda state: state)
    check(net, stepper, prepare)


@pytest.mark.parametrize("name", ["additive", "transformer", "rotary"])
def test_what_each_has_looked_at(name):
    torch.manual_seed(0)
    net = NETS[name]().eval()
    coverage = CoverageSteps(net)
    check(net, coverage, lambda state: coverage.start(state, SOURCE), coverage=True)


def test_long_sources_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr(attention, "_MAX_HIDDEN", 2 * 5 * 8)  # 2 queries of one source
    torch.manual_seed(0)
    net = make_recurrent().eval()
    check(net, *net.stepper())


def test_what_is_read_is_kept_once_for_all_hypotheses():
    net = make_recurrent().eval()
    state = net.start(SOURCE, LENGTHS)
    for rows in ROWS[:2]:
        state = net.select(state, np.array(rows))
        assert len(state.memory.values) == 3
    assert state.memory.places.most == 3
    assert len(net.select(state, np.array([0, 1, 5])).memory.values) == 2
