import subprocess
import sys
from importlib.metadata import entry_points

import pytest
import spacy
from spacy.util import registry

# Every name users may write into a config. A name that was released stays.
NAMES = {
    "factories": ["text_generator", "translator", "image_captioner", "cats_explainer"],
    "architectures": [
        "spacy-seqgen.RecurrentLM.v1",
        "spacy-seqgen.RecurrentSeq2Seq.v1",
        "spacy-seqgen.TransformerSeq2Seq.v1",
        "spacy-seqgen.TransformerTextCat.v1",
        "spacy-seqgen.WordVectors.v1",
        "spacy-seqgen.AttentiveCaptioner.v1",
    ],
    "misc": [
        "spacy-seqgen.Characters.v1",
        "spacy-seqgen.Words.v1",
        "spacy-seqgen.Subwords.v1",
        "spacy-seqgen.PretrainedEncoder.v1",
        "spacy-seqgen.ConvEncoder.v1",
        "spacy-seqgen.PretrainedVision.v1",
        "spacy-seqgen.Pictures.v1",
        "spacy-seqgen.PictureAugmenter.v1",
    ],
    "readers": [
        "spacy-seqgen.plain_text.v1",
        "spacy-seqgen.count_characters.v1",
        "spacy-seqgen.parallel.v1",
        "spacy-seqgen.text_classification.v1",
        "spacy-seqgen.image_captions.v1",
    ],
    "batchers": ["spacy-seqgen.text_streams.v1", "spacy-seqgen.padded_pairs.v1"],
    "scorers": [
        "spacy-seqgen.language_model_scorer.v1",
        "spacy-seqgen.translation_scorer.v1",
        "spacy-seqgen.caption_scorer.v1",
    ],
    "schedules": [
        "spacy-seqgen.warmup_cosine.v1",
        "spacy-seqgen.warmup_linear.v1",
        "spacy-seqgen.gradual_unfreezing.v1",
    ],
    "loggers": ["spacy-seqgen.checkpoint_logger.v1", "spacy-seqgen.progress_logger.v1"],
    "cli": ["seqgen"],
}


@pytest.mark.parametrize("kind,name", [(k, n) for k, names in NAMES.items() for n in names])
def test_names_resolve(kind, name):
    catalogue = registry._entry_point_factories if kind == "factories" else getattr(registry, kind)
    assert catalogue.get(name) is not None


def test_nothing_else_is_registered():
    groups = {kind: f"spacy_{kind}" for kind in NAMES} | {"schedules": "thinc_schedules"}
    for kind, group in groups.items():
        points = [p for p in entry_points(group=group) if p.value.startswith("spacy_seqgen")]
        assert sorted(p.name for p in points) == sorted(NAMES[kind])


def test_default_config_of_the_component_is_complete():
    nlp = spacy.blank("en")
    nlp.add_pipe("text_generator")
    config = nlp.config["components"]["text_generator"]
    assert config["model"]["@architectures"] == "spacy-seqgen.RecurrentLM.v1"
    assert (config["model"]["embedding_size"], config["model"]["hidden_size"]) == (20, 128)
    assert config["generation"]["max_length"] == 200


def test_default_generation_block_names_every_option():
    from dataclasses import asdict

    from spacy_seqgen.generation import GenerationOptions

    nlp = spacy.blank("en")
    nlp.add_pipe("text_generator")
    block = nlp.config["components"]["text_generator"]["generation"]
    named, expected = dict(block), asdict(GenerationOptions())
    assert tuple(named.pop("stop")) == expected.pop("stop")
    assert named == pytest.approx(expected)


def test_pytorch_is_imported_only_when_needed():
    """Readers, vocabularies and the command line are there without the wait."""
    script = (
        "import sys, spacy_seqgen, spacy_seqgen.readers, spacy_seqgen.batchers\n"
        "import spacy_seqgen.vocabularies, spacy_seqgen.scorers, spacy_seqgen.outputs\n"
        "import spacy_seqgen.schedules, spacy_seqgen.training.logger, spacy_seqgen.cli\n"
        "print(any(name.startswith('spacy_seqgen.models') for name in sys.modules))\n"
        "print('spacy_seqgen.generation' in sys.modules)\n"
        "slow = {'matplotlib', 'sacrebleu', 'tokenizers', 'spacy_seqgen.report'}\n"
        "print(bool(slow & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False", "False"]


def test_version_is_that_of_the_distribution():
    from importlib.metadata import version

    import spacy_seqgen

    assert spacy_seqgen.__version__ == version("spacy-seqgen")
