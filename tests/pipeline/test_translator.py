import numpy as np
import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_seqgen.generation import GenerationOptions
from spacy_seqgen.translations import Translation
from spacy_seqgen.visualize import render

PAIRS = [
    ("the cat sees the dog", "le chat voit le chien"),
    ("the dog sees the cat", "le chien voit le chat"),
    ("the black cat", "le chat noir"),
    ("the black dog sleeps", "le chien noir dort"),
    ("the cat sleeps", "le chat dort"),
]
OTHERS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
CHARACTERS = {"@misc": "spacy-seqgen.Characters.v1"}
SUBWORDS = {"@misc": "spacy-seqgen.Subwords.v1", "size": 60, "min_count": 1}


def make_examples(nlp, pairs=PAIRS):
    examples = []
    for source, target in pairs:
        reference = nlp.make_doc(source)
        reference._.translation = target
        examples.append(Example(nlp.make_doc(source), reference))
    return examples


def make_nlp(*, seed=0, steps=0, vocabulary=SUBWORDS, pairs=PAIRS, **config):
    fix_random_seed(seed)
    nlp = spacy.blank("en")
    model = {"embedding_size": 16, "hidden_size": 32, **config.pop("model", {})}
    model = config.pop("transformer", model)
    settings = {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary, **config}
    generation = {"max_length": 30, **settings.pop("generation", {})}
    nlp.add_pipe("translator", config={"model": model, "generation": generation, **settings})
    examples = make_examples(nlp, pairs)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)
    return nlp


@pytest.fixture(scope="module")
def trained_bytes():
    return make_nlp(steps=120, attention=True).to_bytes()


@pytest.fixture
def trained(trained_bytes):
    nlp = make_nlp(seed=9, attention=True, pairs=[("a", "b")])
    return nlp.from_bytes(trained_bytes)


def test_add_pipe_works_without_any_setting():
    nlp = spacy.blank("en")
    assert nlp.add_pipe("translator").is_trainable
    with pytest.raises(ValueError, match="E109"):
        nlp("hello")


@pytest.mark.parametrize("vocabulary", [CHARACTERS, SUBWORDS], ids=["characters", "subwords"])
@pytest.mark.parametrize("attention", ["additive", "dot", "general", "none"])
def test_it_learns(attention, vocabulary):
    nlp = make_nlp(steps=250, model={"attention": attention}, vocabulary=vocabulary)
    docs = list(nlp.pipe(source for source, _ in PAIRS))
    assert [doc._.translation for doc in docs] == [target for _, target in PAIRS]
    assert {doc._.translations[0].finish_reason for doc in docs} == {"end"}


def test_the_transformer_learns(tmp_path):
    model = {
        "@architectures": "spacy-seqgen.TransformerSeq2Seq.v1",
        "width": 32, "num_layers": 1, "num_heads": 2, "inner_size": 64,
    }  # fmt: skip
    nlp = make_nlp(steps=200, transformer=model, attention=True)
    docs = list(nlp.pipe(source for source, _ in PAIRS))
    assert [doc._.translation for doc in docs] == [target for _, target in PAIRS]
    assert docs[2]._.translations[0].attention.shape == (3, 3)
    alone = [nlp(text + " dog")._.translation for text, _ in PAIRS]
    assert [d._.translation for d in nlp.pipe(text + " dog" for text, _ in PAIRS)] == alone


def test_round_trip_into_other_weights(trained, tmp_path):
    expected = [doc._.translation for doc in trained.pipe(s for s, _ in PAIRS)]
    assert expected == [target for _, target in PAIRS]
    trained.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert [doc._.translation for doc in loaded.pipe(s for s, _ in PAIRS)] == expected


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 1},
        {"beam_size": 3},
        {"beam_size": 5, "beam_threshold": 1.5},
        {"beam_size": 5, "beam_threshold": 0.5, "num_samples": 2},
    ],
)
def test_a_result_does_not_depend_on_the_batch(trained, options):
    from spacy_seqgen.generation import GenerationOptions

    pipe = trained.get_pipe("translator")
    pipe.options = GenerationOptions(max_length=30, **options)
    texts = [source for source, _ in PAIRS] + ["dog dog", "sees", "the the the black the cat"]
    alone = [trained(text)._.translation for text in texts]
    for size in (2, 8):
        pipe.batch_symbols = size * 10
        found = [doc._.translation for doc in trained.pipe(texts, batch_size=size)]
        assert found == alone
    backwards = [doc._.translation for doc in trained.pipe(reversed(texts))]
    assert backwards == alone[::-1]


def test_lines_and_layout_are_kept(trained):
    doc = trained("the cat sleeps\n\n  the black cat \n")
    assert doc._.translation == "le chat dort\n\n  le chat noir \n"
    assert len(doc._.translations) == 1


def test_sentences_are_translated_one_by_one(trained):
    doc = trained.make_doc("the cat sleeps the black cat")
    for token in doc:
        token.is_sent_start = token.i in (0, 3)
    assert trained(doc)._.translation == "le chat dort le chat noir"


@pytest.mark.parametrize("text", ["", " ", "\n \n"])
def test_nothing_to_translate(trained, text):
    docs = list(trained.pipe([text, "the black cat"]))
    assert docs[0]._.translation == ""
    assert docs[1]._.translation == "le chat noir"


@pytest.mark.parametrize("text", ["Ж漢😀", "a\u0301", "\x00\x01", "שלום", "x " * 10_000])
def test_strange_text(trained, text):
    assert isinstance(trained(text)._.translation, str)


def test_attention(trained):
    doc = trained("the black cat")
    translation = doc._.translations[0]
    assert translation.tokens == ("le", "chat", "noir")
    assert translation.attention.shape == (3, 3)
    assert translation.attention.dtype == np.float16
    assert (translation.attention.sum(1) <= 1.001).all()
    places = translation.source_of()
    for token in doc:
        assert translation.align(token) == [n for n, i in enumerate(places) if i == token.i]
    assert translation.align(doc[:]) == [0, 1, 2]


def test_attention_of_several_lines_belongs_to_the_doc(trained):
    doc = trained("the cat sleeps\nthe black cat")
    translation = doc._.translations[0]
    assert translation.attention.shape == (6, len(doc))
    assert (translation.attention[:3, 4:] == 0).all()
    assert (translation.attention[3:, :4] == 0).all()


def test_attention_is_kept_only_if_asked_for(trained):
    trained.get_pipe("translator").attention = False
    translation = trained("the black cat")._.translations[0]
    assert translation.attention is None
    with pytest.raises(ValueError, match="setting attention"):
        translation.align(trained.make_doc("a")[0])


def test_results_survive_serialisation(trained):
    doc = trained("the black cat")
    stored = DocBin(docs=[doc], store_user_data=True).to_bytes()
    copies = [
        next(DocBin().from_bytes(stored).get_docs(trained.vocab)),
        Doc(trained.vocab).from_bytes(doc.to_bytes()),
    ]
    for copy in copies:
        assert copy._.translation == "le chat noir"
        one, two = copy._.translations[0], doc._.translations[0]
        assert (one.text, one.tokens, one.log_prob) == (two.text, two.tokens, two.log_prob)
        np.testing.assert_array_equal(one.attention, two.attention)


def test_n_best(trained):
    from spacy_seqgen.generation import GenerationOptions

    trained.get_pipe("translator").options = GenerationOptions(
        max_length=30, beam_size=4, num_samples=3
    )
    found = trained("the black cat")._.translations
    assert len(found) == 3
    assert len({item.text for item in found}) == 3


def test_evaluation_while_training_is_greedy():
    nlp = make_nlp(steps=2)
    pipe = nlp.get_pipe("translator")
    assert pipe._options.beam_size == 1
    loaded = make_nlp().from_bytes(nlp.to_bytes())
    assert loaded.get_pipe("translator")._options.beam_size == 5


def test_scores(trained):
    scores = trained.evaluate(make_examples(trained))
    assert scores["bleu"] == pytest.approx(1.0)
    assert scores["chrf"] == pytest.approx(1.0)
    assert scores["exact_match"] == 1.0
    assert scores["bleu_lowercase"] == pytest.approx(1.0)
    assert scores["ter"] == 0.0
    assert scores["translation_accuracy"] == 1.0
    assert 1.0 < scores["translation_perplexity"] < 1.5
    assert "version:" in scores["bleu_signature"]


def test_perplexity_is_that_of_the_symbols_and_not_smoothed(trained):
    """From the probabilities of the translations themselves."""
    pipe = trained.get_pipe("translator")
    nats, symbols = 0.0, 0
    for source, target in PAIRS:
        doc = trained(source)
        assert doc._.translation == target
        nats -= doc._.translations[0].log_prob
        symbols += len(pipe.target_vocabulary.encode(target).ids) + 1
    scores = trained.evaluate(make_examples(trained))
    assert scores["translation_perplexity"] == pytest.approx(np.exp(nats / symbols), rel=1e-4)


def test_evaluation_without_gold(trained):
    doc = trained.make_doc("the cat")
    scores = trained.evaluate([Example(trained.make_doc("the cat"), doc)])
    assert scores["bleu"] is scores["translation_perplexity"] is None


def test_training_data_without_translations():
    nlp = spacy.blank("en")
    nlp.add_pipe("translator")
    doc = nlp.make_doc("a")
    with pytest.raises(ValueError, match=r"parallel\.v1"):
        nlp.initialize(lambda: [Example(doc, doc)])


def test_pairs_with_an_empty_side_are_passed_over():
    nlp = make_nlp()
    losses = nlp.update(make_examples(nlp, [(" ", "x"), ("a", "")]), losses={})
    assert losses["translator"] == 0.0


def test_a_loss_that_is_not_finite_stops_training():
    nlp = make_nlp()
    net = nlp.get_pipe("translator").model.shims[0].net
    net.bridge.weights[0].weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"not finite.*the cat"):
        nlp.update(make_examples(nlp), losses={})


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"attention": "hard"}, "attention must be one of"),
        ({"cell": "rnn"}, "cell must be"),
        ({"hidden_size": 7}, "hidden_size must be even"),
        ({"input_feeding": True, "attention": "none"}, "input_feeding needs attention"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"num_layers": 0}, "num_layers"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        make_nlp(model=settings)


def test_weights_of_another_model(trained):
    other = make_nlp(model={"hidden_size": 16}, attention=True)
    with pytest.raises(ValueError, match="must come from the same training"):
        other.from_bytes(trained.to_bytes())


def test_translation_can_be_given():
    doc = Doc(spacy.blank("en").vocab, words=["a"])
    doc._.translation = "b"
    assert doc._.translations[0].text == "b"
    assert isinstance(doc._.translations[0], Translation)


@pytest.mark.parametrize("swapped", ["model", "source_vocabulary"])
def test_weights_that_were_learned_with_other_symbols(swapped, tmp_path):
    """They fit, and would mean nothing."""
    pairs = [(one.translate(OTHERS), two.translate(OTHERS)) for one, two in PAIRS]
    for name, learned in (("one", PAIRS), ("two", pairs)):
        make_nlp(pairs=learned, vocabulary=CHARACTERS).to_disk(tmp_path / name)
    one, two = tmp_path / "one" / "translator", tmp_path / "two" / "translator"
    (one / swapped).write_bytes((two / swapped).read_bytes())
    with pytest.raises(ValueError, match="learned with another vocabulary"):
        spacy.load(tmp_path / "one")


@pytest.mark.parametrize("setting,other", [("num_heads", 4), ("positions", "learned")])
def test_weights_that_were_learned_with_another_setting(setting, other, tmp_path):
    """They have the same shapes, but for learned positions."""
    model = {
        "@architectures": "spacy-seqgen.TransformerSeq2Seq.v1",
        "width": 16, "num_layers": 1, "num_heads": 2, "inner_size": 16, "positions": "sinusoidal",
    }  # fmt: skip
    make_nlp(transformer=model).to_disk(tmp_path)
    changed = {"components": {"translator": {"model": {setting: other}}}}
    with pytest.raises(ValueError, match=f"learned with {setting} = |positions"):
        spacy.load(tmp_path, config=changed)
    changed = {"components": {"translator": {"model": {"positions": "rotary"}}}}
    with pytest.raises(ValueError, match="learned with positions = 'sinusoidal', not 'rotary'"):
        spacy.load(tmp_path, config=changed)
    nlp = spacy.load(tmp_path)
    other = make_nlp(transformer={**model, "positions": "rotary"}).to_bytes()
    for _ in range(2):
        with pytest.raises(ValueError, match="learned with positions = 'rotary'"):
            nlp.get_pipe("translator").from_bytes(srsly.msgpack_loads(other)["translator"])


def test_weights_of_releases_that_did_not_name_their_symbols(trained_bytes, tmp_path, monkeypatch):
    nlp = make_nlp(seed=9, attention=True).from_bytes(trained_bytes)
    expected = nlp("the black cat")._.translation
    pipe = nlp.get_pipe("translator")
    monkeypatch.setattr(type(pipe), "_signed_model", lambda self: self.model)
    nlp.to_disk(tmp_path)
    monkeypatch.undo()
    assert spacy.load(tmp_path)("the black cat")._.translation == expected
    # Also into a pipeline that was saved with other symbols before.
    other = make_nlp(pairs=[("a", "b")], attention=True)
    other.to_bytes()
    assert other.from_disk(tmp_path)("the black cat")._.translation == expected


def test_attention_of_nothing(trained):
    docs = list(trained.pipe(["the black cat", "", " "]))
    for doc in docs[1:]:
        (best,) = doc._.translations
        assert best.attention.shape == (0, len(doc))
        assert best.source_of() == []
        with pytest.raises(ValueError, match="without words"):
            render(doc, jupyter=False)
    assert render(docs, jupyter=False).count("<table ") == 1


def test_attention_on_a_doc_whose_tokens_have_changed(trained):
    doc = trained("the black cat")
    assert doc._.translations[0].attention.shape[1] == 3
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[1:3])
    assert doc._.translation == "le chat noir"
    assert doc._.translations[0].attention is None
    with pytest.raises(ValueError, match="other tokens now"):
        doc._.translations[0].source_of()


def test_what_is_given_counts_as_written(trained):
    """For n-grams that may not come twice."""
    pipe = trained.get_pipe("translator")
    for beam in (1, 3):
        pipe.options = GenerationOptions(
            beam_size=beam, temperature=float(beam > 1), no_repeat_ngram_size=1, min_length=4,
            max_length=6,
        )  # fmt: skip
        doc = trained.make_doc("the black cat")
        doc._.translation_prefix = "le chat"
        ids = pipe.target_vocabulary.encode(trained(doc)._.translation).ids.tolist()
        assert len(ids) > 4
        assert len(set(ids)) == len(ids)
