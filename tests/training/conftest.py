from pathlib import Path

import pytest
from spacy.util import load_config

CONFIG = """
[paths]
train = null
output = null

[system]
seed = 3

[nlp]
lang = "en"
pipeline = ["text_generator"]

[components]

[components.text_generator]
factory = "text_generator"
generate_text = false

[components.text_generator.model]
@architectures = "spacy-seqgen.RecurrentLM.v1"
embedding_size = 8
hidden_size = 16
num_layers = 2

[corpora]

[corpora.train]
@readers = "spacy-seqgen.plain_text.v1"
path = ${paths.train}
window = 300

[corpora.dev]
@readers = "spacy-seqgen.plain_text.v1"
path = ${paths.train}
window = 0
stop = 500

[training]
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"
seed = ${system.seed}
gpu_allocator = null
max_steps = 24
eval_frequency = 10
patience = 0
dropout = 0.2

[training.batcher]
@batchers = "spacy-seqgen.text_streams.v1"
rows = 8
window = 20

[training.logger]
@loggers = "spacy.ConsoleLogger.v3"
console_output = true

[training.optimizer]
@optimizers = "Adam.v1"
L2 = 0.01
use_averages = true

[training.optimizer.learn_rate]
@schedules = "spacy-seqgen.warmup_cosine.v1"
initial_rate = 0.02
warmup_steps = 5
total_steps = ${training.max_steps}

[training.score_weights]
char_probability = 1.0
"""


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(80)))
    return path


@pytest.fixture
def config_path(tmp_path, corpus):
    path = tmp_path / "config.cfg"
    path.write_text(CONFIG.replace("train = null", f'train = "{corpus}"'))
    return path


@pytest.fixture
def make_config(config_path):
    def make(**overrides):
        names = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_config(config_path, overrides=names, interpolate=False)

    return make


def weights(path: Path):
    import spacy

    pipe = spacy.load(path).get_pipe("text_generator")
    return {name: value.clone() for name, value in pipe.model.shims[0].net.state_dict().items()}
