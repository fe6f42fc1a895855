"""Attention, vocabulary and transform of docs/howto/plug_in.md, from a package of their own."""

import configparser
import importlib
import subprocess
import sys

import pytest
import spacy
import torch
from spacy.training import Example
from spacy.util import registry
from thinc.api import fix_random_seed

from spacy_seqgen.models.shim import get_shim
from spacy_seqgen.modules.attention import GeneralAttention
from spacy_seqgen.modules.recurrent_seq2seq import RecurrentSeq2Seq

from .test_docs import ROOT, blocks, definitions

PAGE = ROOT / "docs" / "howto" / "plug_in.md"
TEXTS = ["the cat", "a dog", ""]
CONFIG = """
[model.attention]
@misc = "my_package.ScaledAttention.v1"

[target_vocabulary]
@misc = "my_package.Bytes.v1"

[transform]
@misc = "my_package.WithoutLetter.v1"
letter = "63"
"""


class Reversed(GeneralAttention):
    """Looks where ours would look least."""

    def score(self, queries, keys):
        return -super().score(queries, keys)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_attention_of_others_is_used_in_decoding_too(input_feeding):
    fix_random_seed(0)
    net = RecurrentSeq2Seq(
        9, 9, embedding_size=4, hidden_size=8, attention=Reversed, input_feeding=input_feeding
    ).eval()
    source, ids = torch.tensor([[4, 5, 6, 3]]), torch.tensor([[2, 5, 7]])
    with torch.no_grad():
        written = net.logits(net.write(net.start(source, torch.tensor([4])), ids).states)
        steps, prepare = net.stepper()
        state = prepare(net.start(source, torch.tensor([4])))
        for place in range(ids.shape[1]):
            logits, state = steps.step(state, ids[:, place])
            torch.testing.assert_close(logits, written[:, place])


@pytest.mark.parametrize("kind", ["RecurrentSeq2Seq", "AttentiveCaptioner"])
def test_unknown_attention(kind):
    build = registry.architectures.get(f"spacy-seqgen.{kind}.v1")
    with pytest.raises(ValueError, match=r"attention must be one of .* of your own, got 'hard'"):
        build(attention="hard")


def install(folder):
    """The package of the page, as pip leaves it."""
    (folder / "my_package.py").write_text("\n".join(definitions(PAGE)), encoding="utf8")
    setup = configparser.ConfigParser()
    setup.optionxform = str
    (text,) = (block for block in blocks(PAGE, "ini") if "entry_points" in block)
    setup.read_string(text)
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    points = setup["options.entry_points"]["spacy_misc"]
    info.joinpath("entry_points.txt").write_text(f"[spacy_misc]{points}\n")


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not beside these tests")
def test_plug_ins_are_found_where_their_package_is_installed(tmp_path, monkeypatch):
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    package = importlib.import_module("my_package")
    fix_random_seed(0)
    nlp = spacy.blank("en")
    config = spacy.util.Config().from_str("[model]\nembedding_size = 8\nhidden_size = 8\n" + CONFIG)
    nlp.add_pipe("translator", config={**config, "generation": {"max_length": 12}})
    examples = []
    for source, target in [("the cat", "le chat"), ("a dog", "un chien")]:
        reference = nlp.make_doc(source)
        reference._.translation = target
        examples.append(Example(nlp.make_doc(source), reference))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    assert isinstance(get_shim(nlp.get_pipe("translator").model).net.decoder.attention,
                      package.ScaledAttention)  # fmt: skip
    found = [doc._.translation for doc in nlp.pipe(TEXTS)]
    assert not any("c" in text for text in found)  # whose byte is 63
    nlp.get_pipe("translator").transform = None
    assert any("c" in doc._.translation for doc in nlp.pipe(TEXTS))

    script = (
        "import spacy, sys\n"
        "nlp = spacy.load('model')\n"
        "assert 'my_package' in sys.modules\n"
        f"print([doc._.translation for doc in nlp.pipe({TEXTS!r})])"
    )
    environment = {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "PATH": ""}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == repr(found)
