"""The fast steps of a recurrent decoder are those of the module."""

import copy
import itertools

import numpy as np
import pytest
import torch

from spacy_seqgen.modules import attention, decoder_steps
from spacy_seqgen.modules.recurrent_seq2seq import RecurrentSeq2Seq

KINDS = [
    {"cell": cell, "attention": attention, "input_feeding": feeding, "num_layers": layers}
    for cell, (attention, feeding), layers in itertools.product(
        ("lstm", "gru"),
        (("additive", False), ("additive", True), ("dot", False), ("general", True),
         ("none", False)),
        (1, 2),
    )
]  # fmt: skip
SOURCE = torch.tensor([[5, 6, 7, 8, 3], [9, 3, 0, 0, 0], [6, 6, 3, 0, 0]])
LENGTHS = torch.tensor([5, 2, 3])


def make_net(**settings):
    torch.manual_seed(0)
    sizes = {"embedding_size": 6, "hidden_size": 8, **settings}
    return RecurrentSeq2Seq(10, 11, **sizes).eval()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_they_are_the_steps_of_the_module(kind, tied):
    """From the middle of a translation, with hypotheses that come and go."""
    net = make_net(**kind, tied=tied)
    with torch.inference_mode():
        steps, prepare = net.stepper()
        assert steps is not net
        slow = net.write(net.start(SOURCE, LENGTHS), torch.tensor([[2, 4]] * 3)).state
        fast = prepare(slow)
        ids = np.array([5, 6, 7])
        for rows in ([0, 0, 1, 1, 2, 2], [1, 0, 2, 3, 4, 4], [2, 3, 5, 4], [3, 0, 2]):
            slow_logits, slow = net.step(slow, ids)
            fast_logits, fast = steps.step(fast, ids)
            torch.testing.assert_close(fast_logits, slow_logits, atol=1e-5, rtol=1e-4)
            rows = np.array(rows)
            slow, fast = net.select(slow, rows), steps.select(fast, rows)
            ids = np.arange(4, 4 + len(rows))


def test_long_sources_are_looked_at_in_parts(monkeypatch):
    net = make_net()
    with torch.inference_mode():
        steps, prepare = net.stepper()
        state = steps.select(prepare(net.start(SOURCE, LENGTHS)), np.repeat(np.arange(3), 3))
        expected, _ = steps.step(state, np.arange(9))
        monkeypatch.setattr(attention, "_MAX_HIDDEN", 2 * 3 * 5 * 8)  # 2 queries of 3
        found, _ = steps.step(state, np.arange(9))
    torch.testing.assert_close(found, expected)


def test_many_rows(monkeypatch):
    """They take another tanh."""
    net = make_net()
    with torch.inference_mode():
        steps, prepare = net.stepper()
        state = prepare(net.start(SOURCE, LENGTHS))
        expected, _ = steps.step(state, np.array([4, 5, 6]))
        monkeypatch.setattr(decoder_steps, "_MANY", 0)
        found, _ = steps.step(state, np.array([4, 5, 6]))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_step_leaves_the_state_before_it_alone():
    net = make_net()
    with torch.inference_mode():
        steps, prepare = net.stepper()
        state = prepare(net.start(SOURCE, LENGTHS))
        first, _ = steps.step(state, np.array([4, 5, 6]))
        steps.step(state, np.array([7, 7, 7]))
        again, _ = steps.step(state, np.array([4, 5, 6]))
    assert torch.equal(first, again)


def test_new_weights_count():
    net = make_net()
    with torch.inference_mode():
        before = net.stepper()[0]
        assert net.stepper()[0] is before
    net.train()
    with torch.no_grad():
        net.decoder.embedding.weight.add_(1.0)
    net.eval()
    with torch.inference_mode():
        assert not torch.equal(net.stepper()[0].table, before.table)
    assert copy.deepcopy(net)._steps is None


def test_a_vocabulary_too_large_for_a_table(monkeypatch):
    monkeypatch.setattr(decoder_steps, "_MAX_TABLE", 11 * 32 - 1)
    net = make_net()
    assert net.stepper()[0] is net
