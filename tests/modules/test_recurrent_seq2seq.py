import itertools

import numpy as np
import pytest
import torch

from spacy_seqgen.models.precision import computing_in
from spacy_seqgen.models.translation import pad_pairs, pad_sources
from spacy_seqgen.modules.recurrent_seq2seq import RecurrentSeq2Seq
from spacy_seqgen.modules.transformer_seq2seq import TransformerSeq2Seq

from ..util import computing_bf16

SOURCES = [np.array([5, 6, 7, 8]), np.array([9]), np.array([6, 6])]
TARGETS = [np.array([5, 6]), np.array([7, 8, 9, 4, 5]), np.array([4])]


def make_net(**settings):
    torch.manual_seed(0)
    defaults = {"embedding_size": 6, "hidden_size": 8, "num_layers": 2, "label_smoothing": 0.0}
    return RecurrentSeq2Seq(10, 11, **{**defaults, **settings}).eval()


def make_transformer(**settings):
    torch.manual_seed(0)
    sizes = {"width": 8, "num_layers": 2, "num_heads": 2, "inner_size": 16, **settings}
    return TransformerSeq2Seq(10, 11, **sizes, label_smoothing=0.0).eval()


KINDS = [
    {"cell": cell, "attention": attention, "input_feeding": feeding, "bidirectional": both}
    for cell, (attention, feeding), both in itertools.product(
        ("lstm", "gru"),
        (("additive", False), ("additive", True), ("dot", True), ("general", False),
         ("none", False)),
        (True, False),
    )
]  # fmt: skip


TRANSFORMERS = [{}, {"positions": "learned"}, {"positions": "rotary"}]


@pytest.fixture(params=[*KINDS, *TRANSFORMERS], ids=lambda kind: "-".join(map(str, kind.values())))
def net(request):
    """Each kind of recurrent model, and the transformer."""
    make = make_transformer if request.param in TRANSFORMERS else make_net
    return make(**request.param)


def tensors(sources, targets):
    batch = pad_pairs(sources, targets)
    inputs, targets = torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets)
    return batch.read(torch.device("cpu")), inputs, targets


def test_batches():
    batch = pad_pairs(SOURCES, TARGETS)
    assert batch.sources.tolist() == [[5, 6, 7, 8, 3], [9, 3, 0, 0, 0], [6, 6, 3, 0, 0]]
    assert batch.lengths.tolist() == [5, 2, 3]
    assert batch.inputs[0].tolist() == [2, 5, 6, 0, 0, 0]
    assert batch.targets[0].tolist() == [5, 6, 3, 0, 0, 0]


def test_a_row_does_not_depend_on_the_others(net):
    together, _ = net.read(*tensors(SOURCES, TARGETS))
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone, _ = net.read(*tensors([source], [target]))
        torch.testing.assert_close(together[row, : len(target) + 1], alone[0])
        assert (together[row, len(target) + 1 :] == 0).all()


def test_loss_is_the_negative_log_likelihood(net):
    nll, _ = net.read(*tensors(SOURCES, TARGETS))
    loss, unsmoothed = net(*tensors(SOURCES, TARGETS))
    torch.testing.assert_close(loss, nll.sum(1))
    torch.testing.assert_close(unsmoothed, nll.sum(1))


def test_step_by_step_is_the_same_as_at_once(net):
    """What search sees is what training learned."""
    source, inputs, targets = tensors(SOURCES, TARGETS)
    state = net.start(*source)
    found = []
    for place in range(inputs.shape[1]):
        logits, state = net.step(state, inputs[:, place])
        found.append(-logits.log_softmax(-1).gather(1, targets[:, place : place + 1])[:, 0])
    expected, _ = net.read(source, inputs, targets)
    stepped = torch.stack(found, 1) * (targets != 0)
    torch.testing.assert_close(stepped, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("learns", [True, False])
def test_in_parts_is_the_same_as_at_once(net, learns):
    """As a forced prefix, and what follows it."""
    source, inputs, _ = tensors(SOURCES, TARGETS)
    with torch.set_grad_enabled(learns):
        first = net.write(net.start(*source), inputs[:, :2])
        second = net.write(first.state, inputs[:, 2:5])
        logits, _ = net.step(second.state, inputs[:, 5])
        expected = net.logits(net.write(net.start(*source), inputs).states)
        parts = [net.logits(part.states) for part in (first, second)]
    found = torch.cat([*parts, logits[:, None]], 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_hypotheses_of_a_sentence_share_its_memory(net):
    source, _, _ = tensors(SOURCES, TARGETS)
    state = net.start(*source)
    twice = net.select(state, np.repeat(np.arange(3), 2))
    logits, after = net.step(twice, np.array([4, 5, 4, 5, 4, 5]))
    single, _ = net.step(state, np.array([5, 5, 5]))
    torch.testing.assert_close(logits[1::2], single)
    kept = net.select(after, np.array([5, 4]))  # of the last sentence, the other way round
    again, _ = net.step(kept, np.array([6, 6]))
    all_of_them, _ = net.step(after, np.full(6, 6))
    torch.testing.assert_close(again, all_of_them[[5, 4]])


def test_hypotheses_of_a_sentence_go_on_with_several_symbols(net):
    source, _, _ = tensors(SOURCES, TARGETS)
    ids = torch.randint(4, 11, (6, 3))
    twice = net.select(net.start(*source), np.repeat(np.arange(3), 2))
    together = net.write(twice, ids).states
    for row in range(6):
        alone = net.select(net.start(*source), np.array([row // 2]))
        torch.testing.assert_close(together[row], net.write(alone, ids[row : row + 1]).states[0])


def test_gradients_reach_every_weight(net):
    net.train()
    loss, _ = net(*tensors(SOURCES, TARGETS))
    loss.sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


def test_bfloat16(net):
    """Emulated here, where the processor has none: roughly the same, with gradients in fp32."""
    net.train()
    exact, _ = net(*tensors(SOURCES, TARGETS))
    with computing_bf16(), computing_in("bf16", torch.device("cpu")):
        rough, _ = net(*tensors(SOURCES, TARGETS))
        rough.sum().backward()
    assert 0 < (exact - rough).abs().max() < 0.2
    gradients = [parameter.grad for parameter in net.parameters()]
    assert {gradient.dtype for gradient in gradients} == {torch.float32}
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_where_it_looks(net):
    if not net.has_attention:
        pytest.skip("without attention")
    source, inputs, _ = tensors(SOURCES, TARGETS)
    weights = net.look(net.start(*source), inputs)
    assert weights.shape == (3, 6, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 6))
    assert (weights[1, :, 2:] == 0).all()


def test_label_smoothing_by_hand():
    net = make_net(label_smoothing=0.2)
    arguments = tensors(SOURCES[:1], TARGETS[:1])
    loss, nll = net(*arguments)
    logits = net.logits(net.write(net.start(*arguments[0]), arguments[1]).states)
    uniform = -logits[0].log_softmax(-1).mean(-1).sum()
    torch.testing.assert_close(loss[0], 0.8 * nll[0] + 0.2 * uniform)


def test_tied_weights():
    net = make_net(tied=True)
    assert net.decoder.output.weight is net.decoder.embedding.weight
    assert make_net(tied=False).decoder.output.weight.shape == (11, 8)


def test_sentences_with_different_numbers_of_hypotheses(net):
    """As when some of several samples of a sentence have ended."""
    source, _, _ = tensors(SOURCES, TARGETS)
    state = net.select(net.start(*source), np.repeat(np.arange(3), 2))
    expected, after = net.step(state, np.full(6, 5))
    expected, _ = net.step(after, np.full(6, 6))
    rows = np.array([0, 2, 3, 5])
    found, _ = net.step(net.select(after, rows), np.full(4, 6))
    torch.testing.assert_close(found, expected[rows])


def test_sources_need_no_symbols():
    ids, lengths = pad_sources([np.array([], dtype=np.int64)])
    assert ids.tolist() == [[3]]
    assert lengths.tolist() == [1]
