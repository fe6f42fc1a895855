import pickle

import numpy as np
import pytest

from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.pictures import PictureSettings
from spacy_seqgen.pipeline.features import FeatureCache

from .test_captioner import make_examples, make_nlp, make_pictures


def features(value, kilobytes=400):
    return np.full(kilobytes * 500, value, dtype=np.float32)  # half as much when kept


def test_the_ones_used_longest_ago_make_room():
    cache, made = FeatureCache(1), []

    def get(*names):
        def make(numbers):
            made.extend(names[n] for n in numbers)
            return [features(float(names[n])) for n in numbers]

        return cache.get([(name,) for name in names], make)

    get("1", "2")
    get("1")
    found = get("3", "1")
    assert made == ["1", "2", "3"]
    assert [item[0] for item in found] == [3, 1] and found[0].dtype == np.float16
    assert cache.size == 800_000 and len(cache) == 2
    get("2")
    assert made[-1] == "2"
    copied = pickle.loads(pickle.dumps(cache))
    assert len(copied) == copied.size == 0 and copied.limit == cache.limit
    cache.clear()
    assert len(cache) == cache.size == 0


def test_what_can_not_be_kept():
    cache = FeatureCache(1)
    found = cache.get([None, ("a",), ("b",)], lambda n: [features(1), None, features(2, 2000)])
    assert [item is None for item in found] == [False, True, False]
    assert len(cache) == 0
    with pytest.raises(ValueError, match="feature_cache"):
        FeatureCache(-1)


def test_a_frozen_encoder_reads_pictures_once(tmp_path, monkeypatch):
    captions = make_pictures(tmp_path / "pictures")
    nlp = make_nlp(captions)
    pipe = nlp.get_pipe("image_captioner")
    encoder = get_shim(pipe.model).net.encoder
    monkeypatch.setattr(type(encoder), "frozen", True)
    encoder.requires_grad_(False)
    read, load = [], PictureSettings.load
    monkeypatch.setattr(
        PictureSettings, "load", lambda self, *a: read.append(a[0].name) or load(self, *a)
    )
    examples = make_examples(nlp, {str(tmp_path / "gone.png"): ["a"], **captions})
    optimizer = nlp.create_optimizer()
    losses = [nlp.update(examples, sgd=optimizer)["image_captioner"] for _ in range(3)]
    assert sorted(read) == sorted(captions)
    assert len(pipe.features) == 16 and losses[2] < losses[0]
    (tmp_path / "pictures" / "red-blue.png").write_bytes(
        (tmp_path / "pictures" / "red-green.png").read_bytes() + b"\0"
    )
    nlp.update(examples, sgd=optimizer)
    assert len(read) == 17  # it is another one now


def test_features_beyond_half_precision_stay_finite():
    cache = FeatureCache(1)
    (found,) = cache.get([("a",)], lambda numbers: [np.array([1e6, -1e6, 1], dtype=np.float32)])
    assert np.isfinite(found).all() and found[0] > 6e4 > -6e4 > found[1]
