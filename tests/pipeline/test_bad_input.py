"""Each kind of bad input has a defined answer."""

import math
import shutil
import tracemalloc

import numpy as np
import pytest
import spacy
import srsly
import torch
from spacy.tokens import Doc
from thinc.api import Adam

from spacy_seqgen.outputs import SURPRISAL

from ..util import TEXTS, make_examples, make_nlp

STRANGE = {
    "empty": "",
    "one character": "T",
    "a space": " ",
    "only unknown characters": "ÄÖÜ",
    "emoji": "\U0001f600\U0001f468‍\U0001f469‍\U0001f467\U0001f3ff",
    "combining marks": "e\u0301\u0302\u0303\u0301" * 5 + "\u0301",
    "right to left": "שלום \u202e abc مرحبا",
    "NUL bytes": "a\0b\0\0",
    "control characters": "\x01\x1b[31m\x7f\u2028\ufeff\ufffd",
    "private use and unassigned": "\ue000\U000e0fff\U0010ffff",
    "many lines": "\n\r\n\t\n",
}


@pytest.mark.parametrize("vocabulary", [{}, {"nfc": True, "lowercase": True}])
@pytest.mark.parametrize("name", STRANGE)
def test_strange_text_is_read_and_continued(name, vocabulary):
    nlp = make_nlp(vocabulary=vocabulary, generation={"max_length": 8, "min_length": 8})
    text = STRANGE[name]
    before, doc, after = nlp.pipe(["To be", text, "To be"])
    assert doc.text == text  # unknown characters stay in the text
    assert len(doc._.continuation) == 8
    assert len(doc.user_data[SURPRISAL]) == len(text)
    assert np.isfinite(doc.user_data[SURPRISAL]).all()
    assert (doc._.bits_per_char is None) == (text == "")
    assert before._.continuation == after._.continuation == nlp("To be")._.continuation


def test_lone_surrogates():
    """spaCy itself has no Doc for them; the vocabulary takes them for unknown."""
    nlp = make_nlp()
    with pytest.raises(UnicodeEncodeError):
        nlp("a\ud800b")
    vocabulary = nlp.get_pipe("text_generator").vocabulary
    assert vocabulary.encode("a\ud800b").ids[1] == 1


def test_a_doc_of_spaces_and_tokens_without_text():
    nlp = make_nlp()
    doc = nlp(Doc(nlp.vocab, words=["To", " ", "be"], spaces=[True, False, True]))
    assert doc._.surprisal == pytest.approx(sum(t._.surprisal for t in doc))


def test_long_docs_are_read_in_bounded_memory():
    nlp = make_nlp(generate_text=False)
    pipe = nlp.get_pipe("text_generator")
    text = "To be, or not to be, that is the question. " * 6000  # 258,000 characters
    doc = Doc(nlp.vocab, words=text.split())
    text = doc.text
    tracemalloc.start()
    (result,) = pipe.predict([doc])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 48 * len(text)  # a few numbers for a character, no logits
    # What repeats costs the same each time, once the state has settled.
    period = len("To be, or not to be, that is the question. ")
    middle = result.bits[period * 3000 : period * 3001].sum(dtype=np.float64)
    total = result.bits.sum(dtype=np.float64)
    assert total == pytest.approx(middle * 6000, rel=1e-3)


@pytest.mark.slow
def test_five_million_characters():
    nlp = make_nlp(generate_text=False)
    piece = "To be, or not to be, that is the question. "
    count = 5_000_000 // len(piece) + 1
    doc = Doc(nlp.vocab, words=(piece * count).split())
    assert len(doc.text) >= 5_000_000
    doc = nlp(doc)
    bits = doc.user_data[SURPRISAL]
    middle = bits[len(piece) * 1000 : len(piece) * 1001].sum(dtype=np.float64)
    assert doc._.surprisal == pytest.approx(middle * count, rel=1e-3)


def test_a_prompt_longer_than_any_window():
    nlp = make_nlp(generation={"max_length": 5, "min_length": 5})
    assert len(nlp("To be " * 3000)._.continuation) == 5


def test_max_length_0():
    nlp = make_nlp(generation={"max_length": 0})
    doc = nlp("To be")
    assert doc._.continuation == ""
    assert doc._.continuations[0].finish_reason == "length"
    assert doc._.continuations[0].log_prob == 0.0


@pytest.mark.parametrize(
    "generation,name",
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_length": -3}, "max_length"),
    ],
)
def test_options_are_checked_when_the_pipeline_is_made(generation, name):
    with pytest.raises(ValueError, match=name):
        make_nlp(generation=generation)


def test_a_stop_string_that_is_never_met():
    nlp = make_nlp(generation={"stop": ["\U0001f600"], "max_length": 12, "min_length": 12})
    (found,) = nlp("To be")._.continuations
    assert (len(found.text), found.finish_reason) == (12, "length")


# Errors in one Doc


def test_one_bad_doc_does_not_harm_the_others(monkeypatch):
    nlp = make_nlp()
    pipe = nlp.get_pipe("text_generator")
    encode = pipe.vocabulary.encode

    def fail(source):
        if "question" in source:
            raise RuntimeError("no")
        return encode(source)

    monkeypatch.setattr(pipe.vocabulary, "encode", fail)
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.extend(d.text for d in docs))
    docs = list(nlp.pipe(TEXTS))
    assert [doc.text for doc in docs] == TEXTS[1:]
    assert failed == [TEXTS[0]]
    assert all(doc._.continuation is not None for doc in docs)


def test_errors_are_raised_by_default(monkeypatch):
    nlp = make_nlp()
    pipe = nlp.get_pipe("text_generator")
    monkeypatch.setattr(pipe.vocabulary, "encode", lambda source: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(nlp.pipe(TEXTS))


# Training


def test_training_on_a_single_character():
    nlp = make_nlp(["a"], steps=3)
    assert len(nlp.get_pipe("text_generator").vocabulary) == 5
    assert np.isfinite(nlp("a")._.surprisal)


def test_training_on_one_distinct_character():
    nlp = make_nlp(["a" * 50], steps=60, generation={"max_length": 5, "min_length": 5})
    assert nlp("a")._.continuation == "aaaaa"


def test_training_without_text():
    with pytest.raises(ValueError, match="No symbol"):
        make_nlp(["", ""])
    with pytest.raises(TypeError, match="E930"):
        make_nlp([])


def test_empty_texts_in_a_training_batch():
    nlp = make_nlp(["", "abc", ""], steps=2)
    losses = nlp.update(make_examples(nlp, ["", ""]), sgd=Adam(0.01))
    assert losses["text_generator"] == 0.0


def test_a_loss_that_is_not_finite_stops_and_names_the_batch():
    nlp = make_nlp()
    net = nlp.get_pipe("text_generator").model.shims[0].net
    with torch.no_grad():
        net.output.bias.fill_(math.nan)
    before = net.rnn.weight_hh_l0.detach().clone()
    with pytest.raises(ValueError, match=r"text_generator.*not finite.*lady doth"):
        nlp.update(make_examples(nlp), sgd=Adam(0.01))
    assert torch.equal(net.rnn.weight_hh_l0, before)


# Model directories


@pytest.fixture
def saved(tmp_path):
    nlp = make_nlp(steps=2)
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


def test_a_file_is_missing(saved):
    for name in ("model", "vocabulary", "cfg"):
        path = saved / "text_generator" / name
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(ValueError, match=f"{name} is missing"):
            spacy.load(saved)
        path.write_bytes(data)
    spacy.load(saved)


@pytest.mark.parametrize("size", [0, 1, 100, 5000, -1])
def test_weights_are_cut_off(saved, size):
    path = saved / "text_generator" / "model"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"Can't load the model of 'text_generator'.*model"):
        spacy.load(saved)


def test_weights_of_another_component(saved, tmp_path):
    other = spacy.blank("en")
    other.add_pipe("tagger").add_label("X")
    other.initialize()
    other.to_disk(tmp_path / "tagger")
    shutil.copy(tmp_path / "tagger" / "tagger" / "model", saved / "text_generator" / "model")
    with pytest.raises(ValueError, match="Can't load the model of 'text_generator'"):
        spacy.load(saved)


def test_weights_of_another_size(saved, tmp_path):
    make_nlp(model={"hidden_size": 16}).to_disk(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "text_generator" / "model", saved / "text_generator" / "model")
    with pytest.raises(ValueError, match=r"do not fit.*another config or vocabulary"):
        spacy.load(saved)


def test_a_vocabulary_of_another_size(saved, tmp_path):
    make_nlp(["abc"]).to_disk(tmp_path / "other")
    shutil.copy(
        tmp_path / "other" / "text_generator" / "vocabulary",
        saved / "text_generator" / "vocabulary",
    )
    with pytest.raises(ValueError, match="same training"):
        spacy.load(saved)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2", b"\xff"])
def test_a_vocabulary_that_is_none(saved, content):
    (saved / "text_generator" / "vocabulary").write_bytes(content)
    with pytest.raises(ValueError, match="vocabulary"):
        spacy.load(saved)


def test_crafted_weights_run_no_code(saved, tmp_path):
    import pickle

    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (canary.write_text, ("x",))

    path = saved / "text_generator" / "model"
    message = srsly.msgpack_loads(path.read_bytes())
    evil = pickle.dumps(Evil())
    for shim in (
        evil,
        srsly.msgpack_dumps({"config": {}, "state": evil}),
        srsly.msgpack_dumps({"format": "spacy-seqgen.weights.v1", "weights": evil}),
    ):
        message["shims"][0] = [shim]
        path.write_bytes(srsly.msgpack_dumps(message))
        with pytest.raises(ValueError, match="Can't load the model"):
            spacy.load(saved)
    path.write_bytes(evil)
    with pytest.raises(ValueError, match="Can't load the model"):
        spacy.load(saved)
    assert not canary.exists()


def test_weights_that_are_left_out(saved):
    path = saved / "text_generator" / "model"
    message = srsly.msgpack_loads(path.read_bytes())
    message["shims"][0] = []
    path.write_bytes(srsly.msgpack_dumps(message))
    with pytest.raises(ValueError, match=r"expected weights for \[1\] networks, found \[0\]"):
        spacy.load(saved)


def test_crafted_attributes_of_a_model_are_not_taken_over(saved):
    path = saved / "text_generator" / "model"
    message = srsly.msgpack_loads(path.read_bytes())
    message["attrs"][0] = {
        "settings": srsly.msgpack_dumps("x"),
        "carry_state": srsly.msgpack_dumps("x"),
    }
    path.write_bytes(srsly.msgpack_dumps(message))
    nlp = spacy.load(saved)
    assert nlp.get_pipe("text_generator").model.attrs["carry_state"] is True
    nlp.update(make_examples(nlp), sgd=Adam(0.01))


@pytest.mark.parametrize(
    "settings", [{"nfc": "no", "lowercase": False, "min_count": 1}, {"foo": 1}, {"min_count": "x"}]
)
def test_a_vocabulary_with_strange_settings(saved, settings):
    path = saved / "text_generator" / "vocabulary"
    data = srsly.json_loads(path.read_bytes())
    path.write_text(srsly.json_dumps({**data, "settings": settings}))
    with pytest.raises(ValueError, match=r"Can't read the vocabulary.*setting"):
        spacy.load(saved)


@pytest.mark.parametrize("content", [b"[1,2]", b"3", b'{"a":', b"\xff\xfe"])
def test_a_cfg_that_is_none(saved, content):
    (saved / "text_generator" / "cfg").write_bytes(content)
    with pytest.raises(ValueError, match=r"cfg is damaged"):
        spacy.load(saved)


def test_a_config_of_a_model_that_does_not_fit_into_memory(saved):
    name = "components.text_generator.model.hidden_size"
    with pytest.raises(ValueError, match="Can't load the model of 'text_generator'"):
        spacy.load(saved, config={name: 10**8})
