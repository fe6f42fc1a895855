import json
import struct

import pytest
import torch
from safetensors.torch import save_file
from thinc.api import Adam

from spacy_seqgen.training.checkpoint import (
    Checkpoint,
    Progress,
    save_checkpoint,
)
from spacy_seqgen.training.logger import create_checkpoint_logger
from spacy_seqgen.training.replacing import write_atomically

from ..util import make_nlp


def test_round_trip_into_another_seed(tmp_path):
    nlp = make_nlp(steps=3)
    optimizer = Adam(0.01, use_averages=True)
    progress = Progress(7, [(0.5, 0), (0.6, 5)], {"text_generator": 1.5}, 11, 2.5)
    save_checkpoint(tmp_path / "c", nlp, optimizer, progress, "config")
    checkpoint = Checkpoint(tmp_path / "c")
    assert checkpoint.progress == progress
    assert checkpoint.config == "config"
    other = make_nlp(seed=5)
    checkpoint.restore(other, Adam(0.01))
    assert other("To be")._.surprisal == pytest.approx(nlp("To be")._.surprisal)


def test_random_states_come_back(tmp_path):
    import random

    import numpy as np

    def draw():
        return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(1))

    draw()
    save_checkpoint(tmp_path / "c", make_nlp(), Adam(), Progress(), "")
    expected = draw()
    draw()
    Checkpoint(tmp_path / "c").restore_random()
    assert draw() == expected


@pytest.mark.parametrize("info", [None, "{", "[]", '{"format": "x"}'])
def test_other_safetensors_are_refused(tmp_path, info):
    path = tmp_path / "c"
    save_file({"a": torch.zeros(1)}, path, {"info": info} if info else None)
    with pytest.raises(ValueError, match="is not a"):
        Checkpoint(path)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04.", struct.pack("<Q", 2**50) + b"{}", json.dumps({}).encode()]
)
def test_what_is_no_checkpoint(tmp_path, data):
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        Checkpoint(tmp_path / "c")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(place):
        place.write_text("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    """Of its own or of the library that writes: safetensors makes a `.tmp...` beside."""
    path, places = tmp_path / "file", []

    def write(place):
        places.append(place)
        place.with_name(".tmpAbc").write_text("half")
        place.write_text("new")

    write_atomically(path, write)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    places[0].parent.mkdir()
    write(places[0])  # and no more: it was killed
    write_atomically(path, write)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_logger_needs_a_component_of_ours(tmp_path):
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.config["training"]["score_weights"] = {}
    setup = create_checkpoint_logger(
        tmp_path / "c", every=1, logger=lambda *a: (lambda i: None, None)
    )
    log_step, _ = setup(nlp)
    with pytest.raises(ValueError, match="spacy seqgen train"):
        log_step(None)


def test_logger_without_a_path_is_the_one_inside():
    seen = []
    setup = create_checkpoint_logger(logger=lambda *a: (seen.append, None))
    setup(make_nlp())[0]({"x": 1})
    assert seen == [{"x": 1}]


def test_every_is_checked():
    with pytest.raises(ValueError, match="every"):
        create_checkpoint_logger(every=0)


def test_plain_spacy_train_can_be_resumed(make_config, tmp_path):
    """The logger writes in `spacy train` what `spacy seqgen train --resume` reads."""
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as spacy_train

    from spacy_seqgen.training.checkpoint import FILE_NAME
    from spacy_seqgen.training.run import run_training

    from .conftest import weights

    run_training(make_config(), tmp_path / "whole")
    output = tmp_path / "parts"
    output.mkdir()
    config = make_config()
    config["training"]["logger"] = {
        "@loggers": "spacy-seqgen.checkpoint_logger.v1",
        "path": str(output / FILE_NAME),
        "every": 4,
        "logger": {"@loggers": "test.stopping_logger.v1", "step": 13},
    }
    with pytest.raises(MemoryError):
        spacy_train(init_nlp(config), output)
    assert Checkpoint(output / FILE_NAME).progress.step == 11
    run_training(make_config(), output, resume=True)
    expected = weights(tmp_path / "whole" / "model-last")
    for name, value in weights(output / "model-last").items():
        assert torch.equal(value, expected[name]), name
