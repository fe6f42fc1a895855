import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Adam

from spacy_seqgen.outputs import SURPRISAL, Continuation
from spacy_seqgen.windows import Window, set_window

from ..util import TEXTS, make_examples, make_nlp


def assert_alike(docs, others):
    """What the component writes is the same: texts exactly, numbers but for rounding."""
    for doc, other in zip(docs, others, strict=True):
        found, expected = doc._.continuations, other._.continuations
        assert [(c.text, c.finish_reason) for c in found] == [
            (c.text, c.finish_reason) for c in expected
        ]
        for one, two in zip(found, expected, strict=True):
            assert one.log_prob == pytest.approx(two.log_prob, abs=1e-3)
        np.testing.assert_allclose(doc.user_data[SURPRISAL], other.user_data[SURPRISAL], atol=1e-4)


def test_add_pipe_works_without_any_setting():
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("text_generator")
    assert pipe.is_trainable
    assert pipe.label_data is None


def test_not_initialized():
    nlp = spacy.blank("en")
    nlp.add_pipe("text_generator")
    with pytest.raises(ValueError, match="E109"):
        nlp("hello")
    with pytest.raises(ValueError, match="E109"):
        nlp.update(make_examples(nlp))


def test_initialize_builds_the_vocabulary():
    nlp = make_nlp(["abc", "bcd"])
    pipe = nlp.get_pipe("text_generator")
    assert sorted(pipe.vocabulary.symbols[4:]) == list("abcd")
    assert pipe.model.get_dim("nO") == 8


def test_initialize_again_for_other_data():
    nlp = make_nlp(["abc"])
    examples = make_examples(nlp, ["hello world"])
    nlp.initialize(lambda: examples)
    assert nlp("hello")._.continuation is not None
    assert len(nlp.get_pipe("text_generator").vocabulary) == 12


def test_initialize_with_a_vocabulary_that_was_saved():
    data = make_nlp(["abcxyz"]).get_pipe("text_generator").label_data
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("text_generator")
    pipe.initialize(lambda: make_examples(nlp, ["a"]), nlp=nlp, vocabulary=data)
    assert pipe.label_data == data
    pipe.initialize(lambda: make_examples(nlp, ["a"]), nlp=nlp, vocabulary={"q": 3, "r": 5})
    assert pipe.vocabulary.symbols[4:] == ["r", "q"]


def test_initialize_warns_when_spacy_shows_a_sample_only():
    nlp = make_nlp(["abc"])
    nlp.config["training"]["max_epochs"] = -1
    with pytest.warns(UserWarning, match="count_characters"):
        nlp.initialize(lambda: make_examples(nlp))


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"cell": "gru"},
        {"num_layers": 2, "dropout": 0.0},
        {"tied": True},
        {"carry_state": False},
        {"precision": "fp32"},
    ],
)
def test_overfitting_IO(tmp_path, model):
    """Learns a few texts by heart, says them, and does so again after a round trip."""
    nlp = make_nlp(model=model, generation={"temperature": 0.0, "max_length": 60})
    examples = make_examples(nlp)
    optimizer = Adam(0.02)
    losses = {}
    for _ in range(120):
        losses = nlp.update(examples, sgd=optimizer)
    assert losses["text_generator"] < 0.1
    doc = nlp("To be, or")
    assert doc._.continuation == TEXTS[0][len("To be, or") :]
    assert doc._.continuations[0].finish_reason == "end"
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert_alike([loaded("To be, or")], [doc])
    scores = loaded.evaluate(examples)
    assert scores["bits_per_char"] < 0.2
    assert scores["char_accuracy"] > 0.9
    assert scores["char_probability"] == pytest.approx(2 ** -scores["bits_per_char"])
    called = [loaded(text) for text in TEXTS]
    for _ in range(2):
        assert_alike(loaded.pipe(TEXTS), called)


PROMPTS = [*TEXTS, "", "T", "Unknown \U0001f600 é", "x" * 300, "To be", "To be"]


@pytest.mark.parametrize(
    "generation", [{}, {"temperature": 0.0}, {"top_p": 0.9, "num_samples": 2}, {"beam_size": 3}]
)
def test_batch_size_and_order_do_not_matter(trained, generation):
    pipe = trained.get_pipe("text_generator")
    pipe.options = replace(pipe.options, **generation)
    expected = [trained(text) for text in PROMPTS]
    for size in (1, 2, 4, 100):
        assert_alike(trained.pipe(PROMPTS, batch_size=size), expected)
    assert_alike(trained.pipe(PROMPTS[::-1]), expected[::-1])
    pipe.batch_symbols = 64  # so small that everything is split
    assert_alike(trained.pipe(PROMPTS), expected)


@pytest.mark.parametrize("generation", [{}, {"top_p": 0.9}, {"beam_size": 2}])
def test_steps_of_the_module_give_the_same(trained, monkeypatch, generation):
    """What is used on a GPU, against what is used on a CPU."""
    pipe = trained.get_pipe("text_generator")
    pipe.options = replace(pipe.options, **generation)
    expected = list(trained.pipe(PROMPTS))
    net = pipe.model.shims[0].net
    monkeypatch.setattr(net, "stepper", lambda: (net.step, lambda state: state))
    assert_alike(trained.pipe(PROMPTS), expected)
    assert "".join(pipe.stream(trained.make_doc("To be"), beam_size=1))


def test_same_text_same_continuation_other_seed_another(trained):
    assert trained("To be")._.continuation == trained("To be")._.continuation
    pipe = trained.get_pipe("text_generator")
    before = [trained(text)._.continuation for text in PROMPTS]
    pipe.options = replace(pipe.options, seed=1, temperature=1.5)
    assert [trained(text)._.continuation for text in PROMPTS] != before


def test_continuations(trained):
    pipe = trained.get_pipe("text_generator")
    pipe.options = replace(pipe.options, num_samples=3)
    doc = trained("To ")
    assert len(doc._.continuations) == 3
    assert doc._.continuation == doc._.continuations[0].text
    assert all(isinstance(item, Continuation) for item in doc._.continuations)
    assert {item.finish_reason for item in doc._.continuations} <= {"end", "stop", "length"}


def test_log_prob_is_that_of_reading(trained):
    """What the model says of its own text when it writes it, and when it reads it."""
    pipe = trained.get_pipe("text_generator")
    pipe.options = replace(pipe.options, temperature=2.0, top_k=5, min_length=30)
    for prompt in ("To be", "", "Brevity"):
        doc = trained(prompt)
        (item,) = doc._.continuations
        assert item.finish_reason == "length"
        whole = trained(prompt + item.text)._.surprisal
        read = whole - (doc._.surprisal or 0.0)
        assert -item.log_prob / math.log(2) == pytest.approx(read, abs=1e-2)


def test_surprisal_adds_up(trained):
    doc = trained("To be,  or \n not to be?")
    tokens = sum(token._.surprisal for token in doc)
    assert doc._.surprisal == pytest.approx(tokens)
    assert doc[:]._.surprisal == pytest.approx(tokens)
    assert doc[1:3]._.surprisal == pytest.approx(doc[1]._.surprisal + doc[2]._.surprisal)
    assert doc[2:2]._.surprisal == 0.0
    assert doc._.bits_per_char == pytest.approx(tokens / len(doc.text))
    assert doc._.perplexity == pytest.approx(2 ** (tokens / len(doc.text)))


def test_surprisal_survives_retokenization(trained):
    doc = trained("To be, or not")
    before = doc[0:2]._.surprisal
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    assert doc[0]._.surprisal == pytest.approx(before)


def test_surprisal_knows_better():
    nlp = make_nlp(steps=100)
    assert nlp(TEXTS[0])._.bits_per_char < 1 < nlp("eb ot ton ro")._.bits_per_char


@pytest.mark.parametrize("options", [{"nfc": True}, {"lowercase": True}])
def test_surprisal_belongs_to_the_characters_of_the_doc(options):
    nlp = make_nlp(["Café İstanbul" * 3], vocabulary=options)
    doc = nlp("Cafe\u0301 İst")
    assert len(doc.user_data[SURPRISAL]) == len(doc.text)
    assert doc._.surprisal == pytest.approx(sum(t._.surprisal for t in doc))


def test_reading_and_writing_can_be_switched_off(trained):
    pipe = trained.get_pipe("text_generator")
    pipe.score_text = False
    doc = trained("To be")
    assert doc._.continuation
    assert doc._.surprisal is doc._.perplexity is doc[0]._.surprisal is doc[:]._.surprisal is None
    pipe.score_text, pipe.generate_text = True, False
    doc = trained("To be")
    assert doc._.continuation is None
    assert doc._.continuations == []
    assert doc._.surprisal > 0
    pipe.score_text = False
    assert not trained("To be").user_data


@pytest.mark.parametrize("model", [{"cell": "gru"}, {"num_layers": 2, "tied": True}])
def test_bytes_go_into_another_seed(model):
    nlp = make_nlp(steps=5, model=model)
    other = make_nlp(["abc"], seed=9, model=model)
    other.from_bytes(nlp.to_bytes())
    prompts = ["To be", ""]
    assert_alike(other.pipe(prompts), nlp.pipe(prompts))


def test_round_trip_before_initialization(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("text_generator")
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    with pytest.raises(ValueError, match="E109"):
        loaded("x")
    examples = make_examples(loaded)
    loaded.initialize(lambda: examples)
    assert loaded("x")._.surprisal > 0


def test_options_of_the_config_survive_and_can_be_overridden(tmp_path):
    nlp = make_nlp(generation={"max_length": 7, "stop": ["\n"]})
    nlp.to_disk(tmp_path)
    options = spacy.load(tmp_path).get_pipe("text_generator").options
    assert (options.max_length, options.stop) == (7, ("\n",))
    loaded = spacy.load(tmp_path, config={"components.text_generator.generation.max_length": 3})
    assert len(loaded("To")._.continuation) == 3


def test_unknown_option_in_the_config():
    with pytest.raises(ValueError, match="temprature"):
        make_nlp(generation={"temprature": 1.0})


@pytest.mark.parametrize("way", ["docbin", "bytes", "pickle"])
def test_results_travel_with_the_doc(trained, way):
    import pickle

    doc = trained("To be, or not")
    if way == "docbin":
        data = DocBin(docs=[doc], store_user_data=True).to_bytes()
        (other,) = DocBin().from_bytes(data).get_docs(trained.vocab)
    elif way == "bytes":
        other = Doc(trained.vocab).from_bytes(doc.to_bytes())
    else:
        other = pickle.loads(pickle.dumps(doc))
    assert_alike([other], [doc])
    assert other[1]._.surprisal == doc[1]._.surprisal


def test_stream(trained):
    pipe = trained.get_pipe("text_generator")
    doc = trained.make_doc("To be")
    pieces = list(pipe.stream(doc))
    assert "".join(pieces) == trained("To be")._.continuation
    assert len(pieces) > 10
    cut = "".join(pipe.stream(doc, max_length=5))
    assert cut == "".join(pieces)[:5]


def test_analysis_tells_the_truth(trained):
    analysis = trained.analyze_pipes(keys=["assigns"])
    doc = trained("To be")
    for attribute in analysis["summary"]["text_generator"]["assigns"]:
        owner, _, name = attribute.split(".")
        target = {"doc": doc, "span": doc[:], "token": doc[0]}[owner]
        assert target._.has(name)
        assert target._.get(name) is not None


def test_update_adds_losses_up(trained):
    examples = make_examples(trained)
    losses = trained.update(examples, sgd=Adam(0.0))
    again = trained.update(examples, sgd=Adam(0.0), losses=dict(losses))
    assert again["text_generator"] == pytest.approx(2 * losses["text_generator"])


def test_update_loss_is_the_mean_surprisal():
    nlp = make_nlp(model={"carry_state": False})
    pipe = nlp.get_pipe("text_generator")
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc in docs:  # windows in the middle of a text, so that no </s> is learned
        set_window(doc, Window("x", 0, len(doc.text), False))
    losses = pipe.update([Example(doc.copy(), doc) for doc in docs], sgd=None)
    bits = sum(doc._.surprisal for doc in nlp.pipe(TEXTS))
    chars = sum(map(len, TEXTS))
    assert losses["text_generator"] / math.log(2) == pytest.approx(bits / chars, abs=1e-4)


def test_long_texts_are_learned_in_pieces(monkeypatch):
    from spacy_seqgen.pipeline import text_generator

    def gradients(limit):
        monkeypatch.setattr(text_generator, "_MAX_WINDOW", limit)
        nlp = make_nlp()
        losses = nlp.get_pipe("text_generator").update(make_examples(nlp), sgd=None)
        net = nlp.get_pipe("text_generator").model.shims[0].net
        return losses["text_generator"], net.output.weight.grad.clone()

    whole, pieces = gradients(1024), gradients(10)
    assert pieces[0] == pytest.approx(whole[0], abs=1e-5)
    # The softmax sees the same states; only what flows back through time is cut.
    np.testing.assert_allclose(pieces[1], whole[1], atol=1e-5)


def test_carried_state_is_that_of_the_text():
    """Two windows one after the other are learned as the text they are cut from."""
    text = "To be, or not to be"

    def loss(carry, cut):
        nlp = make_nlp(model={"carry_state": carry})
        pipe = nlp.get_pipe("text_generator")
        total = 0.0
        for first, last in cut:
            doc = nlp.make_doc(text[first:last])
            set_window(doc, Window("x", first, last, False))
            losses = pipe.update([Example(doc.copy(), doc)], sgd=None)
            total += losses["text_generator"] * (last - first)
        return total

    whole = loss(True, [(0, 19)])
    assert loss(True, [(0, 8), (8, 19)]) == pytest.approx(whole, abs=1e-4)
    assert loss(False, [(0, 8), (8, 19)]) != pytest.approx(whole, abs=1e-3)


def test_averages_are_what_is_evaluated_and_saved(tmp_path):
    nlp = make_nlp()
    examples = make_examples(nlp)
    optimizer = Adam(0.05, use_averages=True)
    for _ in range(10):
        nlp.update(examples, sgd=optimizer)
    raw = nlp.evaluate(examples)["bits_per_char"]
    with nlp.use_params(optimizer.averages):
        averaged = nlp.evaluate(examples)["bits_per_char"]
        nlp.to_disk(tmp_path)
    assert averaged != raw
    assert nlp.evaluate(examples)["bits_per_char"] == raw
    assert spacy.load(tmp_path).evaluate(examples)["bits_per_char"] == pytest.approx(averaged)


def test_two_generators_in_one_pipeline():
    nlp = spacy.blank("en")
    config = {"model": {"hidden_size": 8}}
    nlp.add_pipe("text_generator", name="one", config=config)
    nlp.add_pipe("text_generator", name="two", config=config)
    examples = make_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    losses = nlp.update(examples, sgd=optimizer)
    assert set(losses) == {"one", "two"}


def test_spans_of_other_components_can_be_scored(trained):
    ruler = trained.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "X", "pattern": "soul"}])
    doc = trained(TEXTS[2])
    (ent,) = doc.ents
    assert ent._.surprisal == pytest.approx(ent[0]._.surprisal)


def test_batch_symbols_is_checked():
    with pytest.raises(ValueError, match="batch_symbols"):
        make_nlp(batch_symbols=0)


def test_streams_leave_no_trace_in_the_caller(trained):
    pipe = trained.get_pipe("text_generator")
    doc = trained.make_doc("To be")
    whole = "".join(pipe.stream(doc))
    one, other = pipe.stream(doc), pipe.stream(doc)
    texts = [next(one), next(other)]
    assert not torch.is_inference_mode_enabled()
    for piece in one:
        texts[0] += piece
        texts[1] += next(other, "")
    texts[1] += "".join(other)
    assert texts == [whole, whole]
    assert not torch.is_inference_mode_enabled()


def test_training_while_a_stream_is_open():
    nlp = make_nlp(generation={"max_length": 8, "min_length": 8})
    stream = nlp.get_pipe("text_generator").stream(nlp.make_doc("To be"))
    text = next(stream)
    nlp.update(make_examples(nlp), sgd=Adam(0.01))
    assert len(text + "".join(stream)) == 8


def test_a_stream_may_change_threads(trained):
    pipe = trained.get_pipe("text_generator")
    doc = trained.make_doc("To be")
    whole = "".join(pipe.stream(doc))
    stream = pipe.stream(doc)
    pieces = []
    while not pieces or pieces[-1]:
        with ThreadPoolExecutor(1) as threads:
            pieces.append(threads.submit(next, stream, "").result())
    assert "".join(pieces) == whole


@pytest.mark.parametrize("vocabulary", [["a"], {"a": "x"}])
def test_initialize_with_a_vocabulary_that_is_none(vocabulary):
    nlp = make_nlp()
    with pytest.raises(ValueError, match="counts of symbols"):
        nlp.get_pipe("text_generator").initialize(lambda: [], vocabulary=vocabulary)


def test_counts_of_a_vocabulary_of_words_may_hold_any_word():
    nlp = make_nlp()
    nlp.get_pipe("text_generator").initialize(lambda: [], vocabulary={"a": 3, "b": 2})
    assert nlp.get_pipe("text_generator").vocabulary.symbols[4:] == ["a", "b"]


def test_the_config_decides_over_the_saved_model(tmp_path):
    make_nlp().to_disk(tmp_path / "m")
    name = "components.text_generator.model.carry_state"
    nlp = spacy.load(tmp_path / "m", config={name: False})
    assert nlp.get_pipe("text_generator").model.attrs["carry_state"] is False


def test_what_is_written_after_an_update_is_of_the_new_weights():
    """Also if the component predicted between the gradients and the step, as annotating
    components do in training."""
    nlp = make_nlp(generation={"temperature": 0.0, "max_length": 20})
    pipe, examples = nlp.get_pipe("text_generator"), make_examples(nlp)
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 0.05
    for _ in range(10):
        pipe.update(examples, sgd=None)
        nlp("To be")
        pipe.finish_update(optimizer)
    expected = make_nlp(seed=1, generation={"temperature": 0.0, "max_length": 20})
    expected.from_bytes(nlp.to_bytes())
    assert nlp("To be")._.continuation == expected("To be")._.continuation


def test_words_are_scored_as_they_were_learned():
    """Whatever the tokens of the Doc: the vocabulary has its own."""
    words = {"@misc": "spacy-seqgen.Words.v1"}
    nlp = make_nlp(vocabulary=words, steps=20)
    text = "To be, or not to be, that is the question."
    tokenized = nlp(text)
    whole = nlp(Doc(nlp.vocab, words=[text], spaces=[False]))
    assert whole._.bits_per_char == pytest.approx(tokenized._.bits_per_char)


def test_streaming_names_unknown_options():
    nlp = make_nlp()
    with pytest.raises(ValueError, match="no generation option 'temprature'"):
        next(nlp.get_pipe("text_generator").stream(nlp.make_doc("a"), temprature=1.0))
