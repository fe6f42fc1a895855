import numpy as np
import pytest
import spacy
from spacy.util import registry
from spacy.vectors import Vectors

from ..classifiers import TEXTS, make_labelled, scores

VECTORS = np.eye(4, dtype="f")


def make(*, vectors=True, seed=0, **settings):
    from thinc.api import fix_random_seed

    nlp = spacy.blank("en")
    if vectors:
        keys = [nlp.vocab.strings.add(word) for word in ("good", "bad", "film", "plot")]
        nlp.vocab.vectors = Vectors(data=VECTORS, keys=keys)
    embed = {"@architectures": "spacy-seqgen.WordVectors.v1", "width": 4, "rows": 50, **settings}
    model = {"@architectures": "spacy.TextCatReduce.v1", "exclusive_classes": True}
    model |= {"use_reduce_mean": True, "use_reduce_max": False, "tok2vec": embed}
    model |= {"use_reduce_first": False, "use_reduce_last": False, "nO": None}
    nlp.add_pipe("textcat", config={"model": model})
    fix_random_seed(seed)
    examples = make_labelled(nlp)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.05
    return nlp, examples, optimizer


def layer(nlp):
    return next(n for n in nlp.get_pipe("textcat").model.walk() if n.name == "word_vectors")


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("update", [True, False])
def test_training(vectors, pretrained, update):
    nlp, examples, optimizer = make(vectors=vectors, pretrained=pretrained, update=update)
    before = layer(nlp).get_param("E").copy()
    assert (before[1:5] == VECTORS).all() == (vectors and pretrained)
    for _ in range(60):
        losses = nlp.update(examples, sgd=optimizer)
    assert (layer(nlp).get_param("E") != before).any() == update
    if update or vectors:
        assert losses["textcat"] < 0.2
    texts = [text for text, _ in TEXTS] + ["", "unheard of"]
    found = scores(nlp, texts)
    np.testing.assert_allclose(scores(nlp, texts, batch_size=2), found, atol=1e-6)
    other, _, _ = make(vectors=vectors, pretrained=pretrained, update=update, seed=5)
    assert scores(other.from_bytes(nlp.to_bytes()), texts) == found


def test_words_are_looked_up_in_lower_case_too():
    nlp, _, _ = make()
    found = layer(nlp).predict([nlp.make_doc("Good good Plot plot other")])[0]
    assert found.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0] * 4]


def test_vectors_of_another_number():
    nlp, _, _ = make()
    nlp.vocab.vectors = Vectors(data=np.ones((7, 4), dtype="f"))
    with pytest.raises(ValueError, match="trained with 4 vectors, but the pipeline has 7"):
        nlp("a good film")


def test_sizes():
    build = registry.architectures.get("spacy-seqgen.WordVectors.v1")
    for wrong in ({"width": 0}, {"width": 3, "rows": 0}):
        with pytest.raises(ValueError, match="must be 1 or more"):
            build(**wrong)
    with pytest.raises(ValueError, match="with width = 5, but the pipeline's have 4"):
        make(width=5)
