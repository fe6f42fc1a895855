"""The other side of the benchmarks computes what it should. Speed is not tested."""

from pathlib import Path

import pytest
import torch

from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.vocabularies import BOS, EOS, PAD

from .pipeline.test_translator import PAIRS
from .pipeline.test_translator import make_nlp as make_translator

pytest.importorskip("benchmarks", reason="not in an installed package")

from benchmarks.memory import peak_memory
from benchmarks.plain_beam import beam_search
from benchmarks.plain_translator import AttentionAfter, AttentionInside, Training, pad
from benchmarks.translator import Benchmark, copy_weights

SIZES = {"embedding": 16, "hidden": 32}


def encoded(pipe):
    return [
        (pipe.source_vocabulary.encode(one).ids, pipe.target_vocabulary.encode(two).ids)
        for one, two in PAIRS
    ]


@pytest.fixture(scope="module")
def nlp():
    nlp = make_translator(steps=60)
    return make_translator(pairs=[("a", "b")]).from_bytes(nlp.to_bytes())


@pytest.fixture(scope="module")
def same(nlp):
    """The plain model with the same weights."""
    pipe = nlp.get_pipe("translator")
    net = AttentionAfter(len(pipe.source_vocabulary), len(pipe.target_vocabulary), **SIZES)
    copy_weights(get_shim(pipe.model).net, net)
    return net.eval()


def test_plain_model_is_ours(nlp, same):
    pipe = nlp.get_pipe("translator")
    ours = get_shim(pipe.model).net.eval()
    count = [sum(item.numel() for item in net.parameters()) for net in (ours, same)]
    assert count[0] == count[1]
    sources, targets = zip(*encoded(pipe), strict=True)
    sources, lengths = pad([torch.tensor([*ids, EOS]) for ids in sources])
    targets, sizes = pad([torch.tensor([BOS, *ids, EOS]) for ids in targets])
    with torch.inference_mode():
        losses, _ = ours((sources, lengths), targets[:, :-1], targets[:, 1:])
        loss = same(sources, lengths, targets)
    assert float(loss) == pytest.approx(float(losses.sum() / (sizes - 1).sum()), rel=1e-5)


@pytest.mark.parametrize("rows", [1, 5])
def test_plain_beam_finds_what_ours_finds(nlp, same, rows):
    pipe = nlp.get_pipe("translator")
    sources = [one.tolist() for one, _ in encoded(pipe)]
    found = []
    for first in range(0, len(sources), rows):
        part = sources[first : first + rows]
        found += beam_search(same, part, size=5, max_length=30, alpha=0.7)
    texts = [pipe.target_vocabulary.decode(ids) for ids in found]
    assert texts == [doc._.translation for doc in nlp.pipe(one for one, _ in PAIRS)]


@pytest.mark.parametrize("kind", [AttentionAfter, AttentionInside])
def test_plain_training_learns(kind, nlp):
    pairs = encoded(nlp.get_pipe("translator"))
    torch.manual_seed(0)
    net = kind(60, 60, **SIZES, dropout=0.0, label_smoothing=0.0)
    loop = Training(net, pairs, rows=2, learn_rate=1e-2)
    symbols = sum(len(two) + 1 for _, two in pairs)
    assert loop.run(3) == symbols  # 2 + 2 + 1 pairs are all
    loop.run(297)
    net.eval()
    found = beam_search(net, [one.tolist() for one, _ in pairs], size=3, max_length=30, alpha=0.7)
    assert found == [two.tolist() for _, two in pairs]


def test_step_is_write(same):
    """One step after the other is all steps at once, with padding beside."""
    for kind in (AttentionAfter, AttentionInside):
        torch.manual_seed(0)
        net = kind(60, 60, **SIZES).eval()
        with torch.inference_mode():
            source, lengths = pad([torch.tensor([5, 6, 7, EOS]), torch.tensor([8, EOS])])
            memory, state = net.read(source, lengths)
            ids = torch.tensor([[BOS, 9, 10], [BOS, 11, PAD]])
            embedded = net.target(ids)
            whole = net.logits(*net.write(state, memory, embedded), embedded)
            for place in range(3):
                logits, state = net.step(state, ids[:, place], memory)
                torch.testing.assert_close(logits, whole[:, place])


def test_peak_memory():
    small = peak_memory(["-c", "pass"])
    large = peak_memory(["-c", "x = b'1' * 100_000_000"])
    assert 5 < small < 60
    assert 90 < large - small < 110


@pytest.mark.slow
@pytest.mark.skipif(not Path("scripts/make_phrasebook.py").exists(), reason="no phrasebook")
def test_quick_benchmark(tmp_path):
    overrides = {
        "components.translator.model.embedding_size": 16,
        "components.translator.model.hidden_size": 16,
        "components.translator.source_vocabulary.size": 200,
        "components.translator.target_vocabulary.size": 200,
    }
    benchmark = Benchmark(tmp_path, quick=True, peers=False, overrides=overrides)
    benchmark.updates = 10
    benchmark.train, benchmark.dev = benchmark.train[:500], benchmark.dev[:4]
    rows = benchmark.run()
    assert len(rows) == 6
    assert all(row.ours is not None and row.other is not None and row.note for row in rows)
