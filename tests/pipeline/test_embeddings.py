"""Word vectors in the embeddings of the translator."""

import numpy as np
import pytest
import spacy
import torch
from thinc.api import fix_random_seed

from spacy_seqgen.generation.options import OptionError
from spacy_seqgen.vocabularies import PAD

from .test_translator import CHARACTERS, PAIRS, SUBWORDS, make_examples

WORDS = {"@misc": "spacy-seqgen.Words.v1"}
RECURRENT = {"embedding_size": 4, "hidden_size": 16}
TRANSFORMER = {
    "@architectures": "spacy-seqgen.TransformerSeq2Seq.v1",
    "width": 4, "num_layers": 1, "num_heads": 2, "inner_size": 8,
}  # fmt: skip
VECTORS = {
    "the": [4, 0, 0, 1], "cat": [0, 3, 0, -2], "dog": [0, 3, 1, -2], "sees": [1, 1, 5, 1],
    "bird": [9, 9, 9, 9], "le": [4, 1, 0, 1], "chat": [0, 3, 1, -2],
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("".join(f"{w} {' '.join(map(str, v))}\n" for w, v in VECTORS.items()))
    return path


def make_nlp(
    source=None, target=None, *, model=RECURRENT, vocabulary=WORDS, seed=0, pairs=PAIRS, **config
):
    fix_random_seed(seed)
    nlp = spacy.blank("en")
    if source == "vocab":
        for word, vector in VECTORS.items():
            nlp.vocab.set_vector(word, np.array(vector, dtype="f"))
    settings = {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary}
    nlp.add_pipe("translator", config={"model": {**model, **config}, **settings})
    nlp.config["initialize"]["components"]["translator"] = {
        "source_vectors": source and str(source),
        "target_vectors": target and str(target),
        "shared_vocabulary": bool(config.get("tied_source")),
    }
    optimizer = nlp.initialize(lambda: make_examples(nlp, pairs))
    optimizer.learn_rate = 0.01
    return nlp


def tables(nlp):
    net = nlp.get_pipe("translator").model.shims[0].net
    return {side: table.weight.detach().clone() for side, table in net.embeddings.items()}


def row(nlp, side, word):
    vocabulary = nlp.get_pipe("translator").vocabularies[f"{side}_vocabulary"]
    return tables(nlp)[side][vocabulary.symbols.index(word)].tolist()


def mean_square(values):
    return float(values.square().mean())


def train(nlp, steps=3):
    optimizer = nlp._optimizer
    for _ in range(steps):
        nlp.update(make_examples(nlp), sgd=optimizer)


@pytest.mark.parametrize("where", ["vocab", "file"])
def test_values_are_in_their_rows(path, where, capsys):
    nlp = make_nlp("vocab" if where == "vocab" else path)
    for word in ("the", "cat", "dog", "sees"):
        assert row(nlp, "source", word) == VECTORS[word]
    # The others are random, and of the same size.
    assert tables(nlp)["source"][PAD].tolist() == [0, 0, 0, 0]
    assert 1 < mean_square(torch.tensor(row(nlp, "source", "sleeps"))) < 20
    assert torch.equal(tables(nlp)["target"], tables(make_nlp())["target"])
    # the 7, cat 4, dog 3, sees 2; black 2, sleeps 2
    report = nlp.get_pipe("translator").cfg["vectors"]
    name = "vocab" if where == "vocab" else str(path)
    assert report == {"source": {"vectors": name, "symbols": 6, "found": 4, "running": 16 / 20}}
    printed = " ".join(capsys.readouterr().out.split())
    assert "4 of 6 source symbols have a vector" in printed
    assert "(66.7%), or 80.0% of those in the training data" in printed


def test_a_transformer_reads_vectors_of_the_size_of_its_own(path):
    nlp = make_nlp(path, path, model=TRANSFORMER)
    plain = tables(make_nlp(model=TRANSFORMER))
    rows = [row(nlp, "source", word) for word in ("the", "cat", "dog", "sees")]
    assert mean_square(torch.tensor(rows)) == pytest.approx(1 / 4)
    given = np.array([VECTORS[word] for word in ("the", "cat", "dog", "sees")])
    np.testing.assert_allclose(rows, given * (rows[0][0] / given[0, 0]), rtol=1e-5)
    assert row(nlp, "source", "black") in plain["source"].tolist()


def test_subwords_are_looked_up_if_they_may_be_words(path):
    nlp = make_nlp(path, vocabulary=SUBWORDS)
    assert row(nlp, "source", "▁the") == VECTORS["the"]
    vocabulary = nlp.get_pipe("translator").source_vocabulary
    found = {symbol: vocabulary.find_word(symbol) for symbol in ("▁cat", "at", "▁", "▁.", ".")}
    assert found == {"▁cat": "cat", "at": None, "▁": None, "▁.": ".", ".": "."}


@pytest.mark.parametrize("model", [RECURRENT, TRANSFORMER], ids=["recurrent", "transformer"])
@pytest.mark.parametrize("update", [True, False])
def test_vectors_are_updated_or_not(path, update, model):
    nlp = make_nlp(path, model=model, update_vectors=update)
    before, net = tables(nlp), nlp.get_pipe("translator").model.shims[0].net
    train(nlp)
    after = tables(nlp)
    assert torch.equal(before["source"], after["source"]) is not update
    assert not torch.equal(before["target"], after["target"])
    trained = {name for name, item in net.named_parameters() if item.requires_grad}
    assert len(trained) == len(dict(net.named_parameters())) - (not update)


def test_both_sides_are_frozen(path):
    nlp = make_nlp(path, path, update_vectors=False, tied=False)
    before = tables(nlp)
    train(nlp)
    for side, table in tables(nlp).items():
        assert torch.equal(before[side], table)


@pytest.mark.parametrize("model", [RECURRENT, TRANSFORMER], ids=["recurrent", "transformer"])
def test_a_tied_softmax_is_not_frozen(path, model):
    with pytest.raises(OptionError, match=r"softmax.*tied = true.*Set tied = false"):
        make_nlp(path, path, model=model, update_vectors=False)
    make_nlp(path, path, model=model)


def test_nothing_is_frozen_without_vectors(capsys):
    nlp = make_nlp(update_vectors=False)
    assert "no vectors" in capsys.readouterr().out
    before = tables(nlp)
    train(nlp)
    assert not torch.equal(before["source"], tables(nlp)["source"])


def test_loaded_vectors_stay_frozen_without_the_file(path, tmp_path):
    nlp = make_nlp(path, update_vectors=False)
    train(nlp)
    nlp.to_disk(tmp_path / "model")
    path.unlink()
    loaded = spacy.load(tmp_path / "model")
    from_bytes = make_nlp(seed=5, update_vectors=False).from_bytes(nlp.to_bytes())
    assert loaded("the cat")._.translation == from_bytes("the cat")._.translation
    for other in (loaded, from_bytes):
        assert other.get_pipe("translator").cfg == nlp.get_pipe("translator").cfg
        before = tables(other)
        assert torch.equal(before["source"], tables(nlp)["source"])
        other.resume_training()
        train(other)
        assert torch.equal(before["source"], tables(other)["source"])
        assert not torch.equal(before["target"], tables(other)["target"])


def test_initializing_again_without_vectors_frees_them(path):
    nlp = make_nlp(path, update_vectors=False)
    nlp.config["initialize"]["components"]["translator"] = {}
    nlp.initialize(lambda: make_examples(nlp))
    assert nlp.get_pipe("translator").cfg["vectors"] == {}
    before = tables(nlp)
    train(nlp)
    assert not torch.equal(before["source"], tables(nlp)["source"])


def test_resumed_training_is_the_same(path, tmp_path):
    from spacy_seqgen.training.checkpoint import Checkpoint, Progress, save_checkpoint

    one = make_nlp(path, update_vectors=False)
    train(one, 2)
    save_checkpoint(tmp_path / "c", one, one._optimizer, Progress(step=1), "")
    train(one, 2)
    two = make_nlp(path, update_vectors=False, seed=7)
    Checkpoint(tmp_path / "c").restore(two, two._optimizer)
    train(two, 2)
    for side, table in tables(one).items():
        assert torch.equal(table, tables(two)[side])


def test_averages_leave_frozen_vectors_alone(path):
    nlp = make_nlp(path, update_vectors=False)
    nlp._optimizer.averages = {}
    train(nlp)
    before = tables(nlp)
    with nlp.use_params(nlp._optimizer.averages):
        assert torch.equal(before["source"], tables(nlp)["source"])
        assert not torch.equal(before["target"], tables(nlp)["target"])


def test_wrong_width_names_the_way_out(path):
    with pytest.raises(OptionError, match=r"vectors\.txt have 4 values.*embedding_size.*to 4"):
        make_nlp(path, model={"embedding_size": 8, "hidden_size": 16})


def test_characters_have_no_word_vectors(path):
    with pytest.raises(OptionError, match="No symbol has a vector"):
        make_nlp(path, vocabulary=CHARACTERS)


@pytest.mark.parametrize("model", [RECURRENT, TRANSFORMER], ids=["recurrent", "transformer"])
def test_both_languages_may_share_a_table(path, model, tmp_path):
    nlp = make_nlp(path, model=model, tied_source=True)
    assert row(nlp, "target", "chat") == row(nlp, "source", "chat")
    train(nlp)
    net = nlp.get_pipe("translator").model.shims[0].net
    source, target = net.embeddings.values()
    assert source.weight is target.weight
    sizes = [len(item) for item in nlp.get_pipe("translator").vocabularies.values()]
    assert len(source.weight) == sizes[0] > sizes[1]
    output = getattr(net, "output", None) or net.decoder.output
    assert output.weight is target.weight and len(output.bias) == sizes[1]
    nlp.to_disk(tmp_path)
    loaded = make_nlp(model=model, tied_source=True, seed=3).from_disk(tmp_path)
    other = loaded.get_pipe("translator").model.shims[0].net
    for name, values in net.state_dict().items():
        assert torch.equal(other.state_dict()[name], values)
    assert other.embeddings["source"].weight is other.embeddings["target"].weight
    text = "the cat sees the dog"
    nlp.from_disk(tmp_path)  # and with its beam
    assert loaded(text)._.translation == nlp(text)._.translation


def test_vectors_of_one_table_are_for_both_languages(path):
    found = []
    for sides in ({"source": path}, {"target": path}):
        nlp = make_nlp(**sides, model=TRANSFORMER, tied_source=True)
        found.append(tables(nlp)["source"])
        coverage = nlp.get_pipe("translator").cfg["vectors"]
        assert [item["found"] for item in coverage.values()] == [6]
    assert torch.equal(*found)


def test_a_table_of_one_vocabulary_for_both_languages_still_loads(tmp_path):
    """As it was made before the target had its own part."""
    nlp = make_nlp(model=TRANSFORMER, tied_source=True)
    pipe, examples = nlp.get_pipe("translator"), make_examples(nlp)
    labels = pipe.source_vocabulary.to_dict()
    pipe.initialize(lambda: examples, source_vocabulary=labels, shared_vocabulary=True)
    sizes = {len(vocabulary) for vocabulary in pipe.vocabularies.values()}
    assert sizes == {len(labels["symbols"])} == {len(pipe.model.shims[0].net.output.bias)}
    nlp.to_disk(tmp_path)
    loaded = make_nlp(model=TRANSFORMER, tied_source=True, seed=3).from_disk(tmp_path)
    nlp.from_disk(tmp_path)
    assert loaded("the cat")._.translation == nlp("the cat")._.translation


def test_a_shared_table_needs_one_vocabulary_and_one_file(path):
    nlp = make_nlp(tied_source=True)
    pipe, examples = nlp.get_pipe("translator"), make_examples(nlp)
    with pytest.raises(OptionError, match=r"two vocabularies.*shared_vocabulary = true"):
        pipe.initialize(lambda: examples, nlp=nlp)
    with pytest.raises(OptionError, match="only source_vectors"):
        make_nlp(path, path, tied_source=True)
    with pytest.raises(OptionError, match=r"softmax.*Set tied = false"):
        make_nlp(path, model=TRANSFORMER, tied_source=True, update_vectors=False)
