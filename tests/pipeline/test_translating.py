"""What a user can ask of a translation, and what a translation can tell."""

import json
import pickle

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_seqgen.generation import GenerationOptions
from spacy_seqgen.models.teacher_forcing import TeacherForcing
from spacy_seqgen.pipeline import translating
from spacy_seqgen.pipeline.alignment import find_owners
from spacy_seqgen.pipeline.translating import SentenceTranslator
from spacy_seqgen.tokens import find_tokens
from spacy_seqgen.translations import Translation, set_translations

from .test_translator import CHARACTERS, PAIRS, make_examples, make_nlp

WORDS = {"@misc": "spacy-seqgen.Words.v1", "min_count": 2}
MORE = [
    *PAIRS,
    ("the cat sees Rex", "le chat voit Rex"),
    ("Bello sees the cat", "Bello voit le chat"),
    ("Tom sleeps", "Tom dort"),
    ("the dog sees Minka", "le chien voit Minka"),
    ("Anna sleeps", "Anna dort"),
]


@pytest.fixture(scope="module")
def subwords():
    return make_nlp(steps=120, attention=True)


@pytest.fixture(scope="module")
def words():
    return make_nlp(steps=200, attention=True, vocabulary=WORDS, pairs=MORE)


@pytest.fixture
def pipe(subwords, monkeypatch):
    found = subwords.get_pipe("translator")
    monkeypatch.setattr(found, "_is_training", False)
    monkeypatch.setattr(found, "options", GenerationOptions(max_length=30, beam_size=3))
    return found


def copying(nlp, monkeypatch, **lexicon):
    pipe = nlp.get_pipe("translator")
    monkeypatch.setattr(pipe, "replace_unknown", True)
    monkeypatch.setattr(pipe, "lexicon", lexicon)
    return nlp


def test_unknown_words_are_never_written_by_default(words):
    assert "\ufffd" not in words("Felix sleeps")._.translation


def test_unknown_words_are_copied(words, monkeypatch):
    nlp = copying(words, monkeypatch)
    assert nlp("Felix sleeps")._.translation == "Felix dort"
    assert nlp("the cat sees Felix")._.translation == "le chat voit Felix"
    assert nlp("Felix sleeps")._.translations[0].tokens == ("Felix", "dort")


def test_unknown_words_are_looked_up(words, monkeypatch):
    nlp = copying(words, monkeypatch, Felix="Félix", anna="Anne")
    assert nlp("Felix sleeps\nAnna sleeps")._.translation == "Félix dort\nAnne dort"


@pytest.mark.parametrize(
    "setting", [{"replace_unknown": True}, {"generation": {"coverage_beta": 0.2}}]
)
def test_what_needs_attention(setting):
    with pytest.raises(ValueError, match="needs a model with attention"):
        make_nlp(model={"attention": "none"}, **setting)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
@pytest.mark.parametrize("transformer", [False, True])
def test_a_coverage_penalty_does_not_depend_on_the_batch(transformer, threshold):
    kind = {
        "@architectures": "spacy-seqgen.TransformerSeq2Seq.v1",
        "width": 16, "num_layers": 1, "num_heads": 2, "inner_size": 16,
    }  # fmt: skip
    nlp = make_nlp(steps=20, **({"transformer": kind} if transformer else {}))
    pipe = nlp.get_pipe("translator")
    pipe._is_training = False
    texts = [text for text, _ in PAIRS] + ["dog", "the the cat"]
    pipe.options = GenerationOptions(max_length=12, beam_size=3)
    plain = [doc._.translation for doc in nlp.pipe(texts)]
    pipe.options = GenerationOptions(
        max_length=12, beam_size=3, coverage_beta=3.0, beam_threshold=threshold
    )
    together = [doc._.translation for doc in nlp.pipe(texts)]
    assert together == [nlp(text)._.translation for text in texts]
    assert together != plain


def test_lengths_relative_to_the_source(subwords, pipe):
    encode = subwords.get_pipe("translator").source_vocabulary.encode
    written = subwords.get_pipe("translator").target_vocabulary.encode
    texts = [text for text, _ in PAIRS]
    pipe.options = GenerationOptions(
        max_length=100, max_length_ratio=0.5, min_length=90, beam_size=2
    )
    for doc in subwords.pipe(texts):
        longest = int(np.ceil(len(encode(doc.text).ids) / 2)) + 10
        assert len(written(doc._.translation).ids) <= longest
        assert doc._.translations[0].finish_reason == "length"
    pipe.options = GenerationOptions(max_length=100, min_length_ratio=4.0, beam_size=2)
    for doc in subwords.pipe(texts):
        assert len(doc._.translation) > len(doc.text)


def test_a_translation_that_has_to_begin_in_some_way(subwords, pipe):
    docs = [
        subwords.make_doc(text) for text in ("the black cat", "the cat sleeps", "the black cat")
    ]
    docs[0]._.translation_prefix = "le chien"
    found = list(subwords.pipe(docs))
    assert found[0]._.translation.startswith("le chien")
    assert [doc._.translation for doc in found[1:]] == ["le chat dort", "le chat noir"]
    best = found[0]._.translations[0]
    assert best.tokens[:2] == ("le", "chien")
    assert best.attention.shape == (len(best.tokens), 3)
    # It costs something to write what the model would not have written.
    assert best.log_prob < found[2]._.translations[0].log_prob - 1


def test_a_beginning_with_unknown_words_is_kept(subwords, pipe):
    doc = subwords.make_doc("the black cat\nthe cat sleeps")
    doc._.translation_prefix = "Ж漢 chat"
    first, second = subwords(doc)._.translation.split("\n")
    assert first.startswith("Ж漢 chat")
    assert second == "le chat dort"
    with pytest.raises(ValueError, match="begins with a string"):
        doc._.translation_prefix = 3


def test_the_beginning_may_be_everything(subwords, pipe):
    doc = subwords.make_doc("the black cat")
    doc._.translation_prefix = "le chat noir"
    assert subwords(doc)._.translation == "le chat noir"


def test_probabilities_of_tokens(subwords, pipe):
    best = subwords("the black cat")._.translations[0]
    assert len(best.token_log_probs) == len(best.tokens) == 3
    assert all(value < 0 for value in best.token_log_probs)
    assert best.log_prob <= sum(best.token_log_probs) <= 0


def test_alignment_goes_both_ways(subwords, pipe):
    doc = subwords("the black cat\nthe cat sleeps")
    best = doc._.translations[0]
    target = best.as_doc(spacy.blank("fr"))
    assert target.text == best.text == "le chat noir\nle chat dort"
    assert [token.text for token in target if not token.is_space] == list(best.tokens)
    for place in range(len(best.tokens)):
        (span,) = best.align_target(place)
        assert place in best.align(span)
        assert span.doc is doc
    spans = best.align_target(target[0:3])
    assert {token.i for span in spans for token in span} == set(best.source_of()[:3])
    # Behind the newline, which is a token of a Doc but not of a translation.
    assert best.align_target(target[4]) == best.align_target(3)
    assert best.align_target(np.int64(3)) == best.align_target(3)
    with pytest.raises(IndexError, match="6 tokens, there is no 6"):
        best.align_target(6)


def test_neighbours_are_one_span():
    doc = Doc(spacy.blank("en").vocab, words=list("abcd"))
    weights = np.array([[0.9, 0, 0, 0], [0, 0.8, 0, 0], [0, 0, 0, 0.7]], dtype=np.float16)
    set_translations(doc, [Translation("x y z", ("x", "y", "z"), blocks=((0, weights),))])
    best = doc._.translations[0]
    target = best.as_doc(spacy.blank("fr"))
    assert [span.text for span in best.align_target(target[:])] == ["a b", "d"]
    assert best.align(doc[1:4]) == [1, 2]
    with pytest.raises(ValueError, match="Doc is not known"):
        Translation("x", ("x",), blocks=((0, weights),)).align_target(0)


def test_everything_survives_a_docbin(subwords, pipe):
    doc = subwords("the black cat")
    stored = DocBin(docs=[doc], store_user_data=True).to_bytes()
    copy = next(DocBin().from_bytes(stored).get_docs(subwords.vocab))
    one, two = copy._.translations[0], doc._.translations[0]
    assert one.token_log_probs == two.token_log_probs
    assert [span.text for span in one.align_target(0)] == [s.text for s in two.align_target(0)]


def test_long_text_is_translated_in_pieces(subwords, pipe, monkeypatch):
    monkeypatch.setattr(pipe, "max_characters", 30)
    text = "the black cat the black dog sleeps. the cat sleeps"
    doc = subwords(text)
    assert doc._.translation.endswith("le chat dort")
    best = doc._.translations[0]
    assert best.attention.shape == (len(best.tokens), len(doc))
    (span,) = best.align_target(len(best.tokens) - 1)
    assert span.start >= doc.char_span(text.index("the cat"), len(text)).start


def test_attention_of_long_docs_takes_room_for_the_pieces_alone(subwords, pipe):
    lines = 400
    doc = subwords("the black cat\n" * lines)
    best = doc._.translations[0]
    assert sum(weights.size for _, weights in best.blocks) == lines * 3 * 3
    assert len(best.source_of()) == lines * 3
    assert best.align_target(lines * 3 - 3)[0].start >= len(doc) - 5


def test_languages_may_share_a_vocabulary():
    nlp = make_nlp()
    pipe = nlp.get_pipe("translator")
    examples = make_examples(nlp)
    pipe.initialize(lambda: examples, nlp=nlp, shared_vocabulary=True)
    source, target = pipe.vocabularies.values()
    assert source.symbols[: len(target)] == target.symbols
    for example in examples:
        text = example.reference._.translation
        assert target.encode(text).ids.tolist() == source.encode(text).ids.tolist()
    net = pipe.model.shims[0].net
    assert [len(net.embeddings[side].weight) for side in ("source", "target")] == [
        len(source), len(target),
    ]  # fmt: skip
    assert "\ufffd" not in pipe.source_vocabulary.decode(pipe.source_vocabulary.encode("voit").ids)
    labels = json.loads(json.dumps(pipe.label_data))
    again = make_nlp(seed=1).get_pipe("translator")
    again.initialize(lambda: examples[:1], source_vocabulary=labels, shared_vocabulary=True)
    assert again.label_data == labels
    mixed = make_nlp(target_vocabulary=WORDS)
    with pytest.raises(ValueError, match="can't be shared"):
        mixed.get_pipe("translator").initialize(lambda: examples, shared_vocabulary=True)


def test_scheduled_sampling_shows_the_model_its_own_symbols():
    schedule = {
        "@schedules": "spacy-seqgen.warmup_cosine.v1",
        "initial_rate": 1.0, "warmup_steps": 0, "total_steps": 4,
    }  # fmt: skip
    nlp = make_nlp(model={"teacher_forcing": schedule})
    share = nlp.get_pipe("translator").model.attrs["teacher_forcing"]
    examples, seen = make_examples(nlp), []
    optimizer = nlp.resume_training()
    for _ in range(6):
        nlp.update(examples, sgd=optimizer)
        seen.append(share.values[-1])
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 0.8 and seen[-1] == 0.0
    assert pickle.loads(pickle.dumps(share)).at(99) == 0.0


def test_scheduled_sampling_is_taken_forward_to_the_update():
    share = TeacherForcing(iter([1.0, 0.8, 0.6, 0.4]))
    assert share.at(2) == 0.6
    assert share.at(9) == 0.4
    for wrong in (1.5, -0.1, "often"):
        with pytest.raises(ValueError, match="teacher_forcing must be"):
            TeacherForcing(wrong)


def test_without_teacher_forcing_it_learns_all_the_same():
    nlp = make_nlp(steps=150, model={"teacher_forcing": 0.5})
    docs = list(nlp.pipe(source for source, _ in PAIRS))
    assert [doc._.translation for doc in docs] == [target for _, target in PAIRS]


def test_language_models_have_no_source():
    nlp = spacy.blank("en")
    with pytest.raises(ValueError, match="max_length_ratio is for translators"):
        nlp.add_pipe("text_generator", config={"generation": {"max_length_ratio": 2.0}})


@pytest.mark.parametrize(
    "options,message",
    [
        ({"coverage_beta": 0.2}, "coverage_beta belongs to beam search"),
        ({"coverage_beta": -1.0, "beam_size": 2}, "coverage_beta must be"),
        ({"max_length_ratio": 1.0, "min_length_ratio": 2.0}, "must not exceed max_length_ratio"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        GenerationOptions(**options)


def test_each_token_of_a_forced_beginning_has_its_own_share(subwords, pipe):
    text = "the cat sees the dog"
    free = subwords(text)._.translations[0]
    doc = subwords.make_doc(text)
    doc._.translation_prefix = "le chat"
    forced = subwords(doc)._.translations[0]
    assert forced.text == free.text == "le chat voit le chien"
    assert forced.token_log_probs == pytest.approx(free.token_log_probs, abs=1e-4)
    assert np.allclose(forced.attention, free.attention, atol=0.01)


def test_a_beginning_that_ends_with_a_space(subwords, pipe):
    doc = subwords.make_doc("the cat sees the dog")
    doc._.translation_prefix = "le chat "
    assert "  " not in subwords(doc)._.translation


def test_stop_strings_are_no_part_of_a_translation(subwords, pipe, monkeypatch):
    monkeypatch.setattr(pipe, "options", GenerationOptions(beam_size=3, stop=[" voit"]))
    best = subwords("the cat sees the dog")._.translations[0]
    assert (best.text, best.finish_reason) == ("le chat", "stop")
    assert best.tokens == ("le", "chat")
    free = subwords("the cat sees the dog")._.translations[0]
    assert best.token_log_probs == pytest.approx(free.token_log_probs[:2], abs=1e-4)
    whole = subwords("the cat sees the dog\nthe cat sleeps")._.translations[0]
    assert (whole.text, whole.finish_reason) == ("le chat\nle chat dort", "stop")


def test_a_translation_that_was_given_can_be_a_doc():
    doc = spacy.blank("en")("the cat")
    doc._.translation = "le  chat"
    found = doc._.translations[0].as_doc(spacy.blank("fr"))
    assert found.text == "le  chat"


def test_symbols_that_reach_across_tokens():
    text = "aujourd'hui e-mail"
    symbols, tokens = find_owners(["aujourd'hui", "aujourd'hui e", text], text)
    assert find_tokens(text) == ("aujourd", "'", "hui", "e", "-", "mail")
    assert symbols.tolist() == [0, 0, 0, 1, 2, 2]
    assert tokens.tolist() == [0, 1, 2, 3, 4, 5]


def test_combining_marks_belong_to_their_letters():
    assert find_tokens("हिन्दी में") == ("हिन्दी", "में")
    assert find_tokens("می\u200cخواهم") == ("می\u200cخواهم",)
    assert find_tokens("e\u0301té, oui") == ("e\u0301té", ",", "oui")


def test_many_short_sentences_are_searched_for_in_small_groups(subwords, pipe, monkeypatch):
    text = "the cat sleeps\n" * 40
    expected = subwords(text)._.translation
    sizes = []
    search = SentenceTranslator._search

    def counting(self, sentences):
        sizes.append(len(sentences))
        return search(self, sentences)

    monkeypatch.setattr(SentenceTranslator, "_search", counting)
    monkeypatch.setattr(translating, "_MAX_LOGITS", 3 * len(pipe.target_vocabulary) * 8)
    assert subwords(text)._.translation == expected
    assert max(sizes) <= 8


def test_vocabularies_as_labels(subwords):
    labels = json.loads(json.dumps(subwords.get_pipe("translator").label_data))
    assert set(labels) == {"source_vocabulary", "target_vocabulary"}
    nlp = spacy.blank("en")
    other = nlp.add_pipe("translator", config={"generation": {"max_length": 30}})
    examples = make_examples(nlp, [("x", "y")])
    other.initialize(lambda: examples, source_vocabulary=labels, target_vocabulary=labels)
    assert other.label_data == labels
    with pytest.raises(ValueError, match="made without it: make them again"):
        other.initialize(lambda: examples, source_vocabulary=labels, shared_vocabulary=True)
    with pytest.raises(ValueError, match="give only source_vocabulary"):
        other.initialize(lambda: examples, target_vocabulary=labels, shared_vocabulary=True)


def test_streams_need_vocabularies():
    nlp = spacy.blank("en")
    nlp.config["training"]["max_epochs"] = -1
    pipe = nlp.add_pipe("translator", config={"source_vocabulary": CHARACTERS})
    examples = make_examples(nlp)
    with pytest.warns(UserWarning, match="the first 100 pairs"):
        pipe.initialize(lambda: examples, nlp=nlp)


def test_evaluation_with_all_options(subwords, monkeypatch):
    pipe = subwords.get_pipe("translator")
    monkeypatch.setattr(pipe, "_is_training", True)
    monkeypatch.setattr(pipe, "options", GenerationOptions(beam_size=4, num_samples=2))
    assert len(subwords("the black cat")._.translations) == 1
    monkeypatch.setattr(pipe, "greedy_evaluation", False)
    assert len(subwords("the black cat")._.translations) == 2
