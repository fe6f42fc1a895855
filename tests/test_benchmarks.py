"""The other side of the benchmarks computes what it should. Speed is not tested."""

import importlib.util
import os
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import srsly
import torch
import typer
from typer.testing import CliRunner

from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.vocabularies import BOS, EOS, PAD

from .classifiers import make_folder
from .pipeline.test_translator import PAIRS
from .pipeline.test_translator import make_nlp as make_translator

pytest.importorskip("benchmarks", reason="not in an installed package")

from benchmarks.__main__ import main
from benchmarks.harness import Row
from benchmarks.joeynmt_peer import Peer, PeerError, make_config
from benchmarks.memory import peak_memory
from benchmarks.page import read_page, update_page
from benchmarks.plain_beam import beam_search
from benchmarks.plain_classifier import BATCH, HandLoop
from benchmarks.plain_translator import AttentionAfter, AttentionInside, Training, pad
from benchmarks.quality import GOALS, measure_quality
from benchmarks.textcat import Benchmark as TextcatBenchmark
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


PEER = {
    "source_size": 7, "target_size": 6, "embedding": 16, "hidden": 32, "rows": 4, "beam": 5,
    "alpha": 0.7, "length": 3,
}  # fmt: skip
STUB = """#!{python}
import json, sys
print(json.dumps({{"parameters": 12}}), flush=True)
for line in sys.stdin:
    answers = {{"train": {{"units": 7}}, "translate": {{"texts": ["4 5", "<unk> 4"]}}}}
    print(json.dumps(answers[next(iter(json.loads(line)))]), flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="the stub is started by its first line")
def test_a_peer_is_asked_and_answers(tmp_path):
    stub = tmp_path / "python"
    stub.write_text(STUB.format(python=sys.executable))
    stub.chmod(0o755)
    pairs = [([4, 5], [5]), ([6], [4, 4])]
    with Peer(str(stub), tmp_path / "data", train=pairs, dev=[[4, 6]], **PEER) as peer:
        assert peer.parameters == 12
        assert peer.train(3) == 7.0
        assert peer.translate(4) == [[4, 5], [4]]
    files = ("train.src", "train.trg", "dev.src", "vocabulary.src", "vocabulary.trg")
    found = [(tmp_path / "data" / name).read_text() for name in files]
    assert found == ["4 5\n6\n", "5\n4 4\n", "4 6\n", "4\n5\n6\n", "4\n5\n"]


@pytest.mark.skipif(bool(importlib.util.find_spec("joeynmt")), reason="JoeyNMT is installed")
def test_a_peer_that_is_not_installed(tmp_path):
    with pytest.raises(PeerError, match="pip install joeynmt"):
        Peer(sys.executable, tmp_path, train=[], dev=[], **PEER)


def test_a_peer_has_the_sizes_of_ours(tmp_path):
    config = make_config(tmp_path, PEER)
    encoder, decoder = config["model"]["encoder"], config["model"]["decoder"]
    assert encoder["hidden_size"] * 2 == decoder["hidden_size"] == 32
    assert not config["model"]["tied_softmax"]  # 16 is not 32


def test_plain_classifier_learns(tmp_path):
    """The other side of the text classifier, with a tiny encoder; and both sides of the table."""
    torch.manual_seed(0)
    folder = make_folder(tmp_path / "encoder")
    texts = [("a good film", 1), ("the bad plot", 0)] * 8
    loop = HandLoop(folder, learn_rate=0.01, updates=40)
    assert loop.run(texts, 30) == 30 * BATCH
    assert loop.predict([text for text, _ in texts]) == [label for _, label in texts]
    lines = "".join(f"{label} {text} {n}\n" for n, (text, label) in enumerate(texts))
    for name in ("train", "test"):
        (tmp_path / f"stsa.binary.{name}").write_text(lines)
    benchmark = TextcatBenchmark(
        tmp_path, quick=True, peers=False, only="fine-tuning", weights=str(folder)
    )
    benchmark.updates = benchmark.rounds = 1
    rows = benchmark.run()
    assert [row.unit for row in rows] == ["texts/s"] * 3


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
    benchmark = Benchmark(
        tmp_path, quick=True, peers=False, model=tmp_path / "model", overrides=overrides
    )
    benchmark.updates = 10
    benchmark.train, benchmark.dev = benchmark.train[:500], benchmark.dev[:4]
    rows = benchmark.run()
    assert len(rows) == 6
    assert (tmp_path / "model" / "meta.json").exists()
    assert all(row.ours is not None and row.other is not None and row.note for row in rows)


def test_the_page_keeps_what_was_not_measured_again(tmp_path):
    path = tmp_path / "benchmarks.md"
    first = [Row("decoding | a", 2.0, 1.0, 2.0, 1.5, True, "x/s", 0.1), Row("memory", 300.0)]
    update_page(path, "translator", first, ["translator", "--page", str(path)])
    update_page(path, "textcat", [Row("speed", 1.0)], ["textcat"])
    places = ["--json", "rows.json", f"--page={path}", "--model", str(tmp_path / "kept")]
    places += ["--joeynmt", str(tmp_path / "env" / "bin" / "python")]
    update_page(path, "captioner", [Row("speed", 1.0)], ["captioner", *places])
    again = [Row("decoding | a", 3.0, 1.0, 3.0, 1.5, True, "x/s", 0.1, note="quiet; alone")]
    update_page(path, "translator", again, ["translator", "--only", "decoding a"])
    text = path.read_text()
    assert text.count("\n| memory |") == 1 and text.count("\n| speed |") == 2
    assert "`python -m benchmarks captioner --model kept --joeynmt env/bin/python` |" in text
    assert text.count("decoding") == 2  # the row, and its command
    assert "| decoding \\| a; quiet; alone | 3 | 1 | 3 | 1.5 | yes | x/s | 10% | - |" in text
    assert "`python -m benchmarks translator --only 'decoding a'` |" in text
    assert str(tmp_path) not in text
    assert list(read_page(text)) == ["captioner", "textcat", "translator"]


def test_quality_is_what_workflows_wrote(tmp_path):
    texts = {"topics": 2.25, "shakespeare_dev": 2.1}
    for name, bits in texts.items():
        srsly.write_json(tmp_path / f"{name}.json", {"text_generator": {"bits_per_char": bits}})
    for name, share in (("phrasebook", 0.96), ("phrasebook-plain", 0.5)):
        lengths = {"6-10": {"bleu": share, "sentences": 3}}
        scores = {"exact_match": share, "bleu_by_length": lengths}
        srsly.write_json(tmp_path / f"{name}.json", {"translator": scores})
    rows = {row.what: (row.ours, row.ok, row.bar) for row in measure_quality(tmp_path, "")}
    assert rows == {
        "Python's documentation, last tenth (topics.json)": (2.25, False, 2.2),
        "tiny shakespeare, next 5 % (shakespeare_dev.json)": (2.1, None, None),
        "phrasebook, exact matches (phrasebook.json)": (96.0, True, 95),
        "phrasebook without attention, exact matches (phrasebook-plain.json)": (50.0, None, None),
        "phrasebook, sources of 6 to 10 words, against no attention": (96.0, True, None),
    }
    assert [row.what for row in measure_quality(tmp_path, "topics")] == list(rows)[:1]


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_quality_of_a_file_without_scores(text, tmp_path):
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, ["quality", "--metrics", str(tmp_path)])
    assert result.exit_code == 1 and "There are no scores in" in result.output
    (tmp_path / "topics.json").write_text(text, encoding="utf8")
    result = CliRunner().invoke(app, ["quality", "--metrics", str(tmp_path)])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "topics.json" in result.output.replace("\n", "")


def test_goals_are_of_the_project():
    """Each is a figure of a file that a command of its workflow writes."""
    project = srsly.read_yaml(Path(__file__).parents[1] / "project.yml")
    commands = {command["name"]: command for command in project["commands"]}
    for goal in GOALS:
        outputs = [
            Path(output).stem
            for name in project["workflows"][goal.workflow]
            for output in commands[name].get("outputs", ())
            if output.startswith("metrics/")
        ]
        patterns = [re.sub(r"\$\{vars\.\w+\}", "*", output) for output in outputs]
        assert any(fnmatch(goal.file, pattern) for pattern in patterns), goal
