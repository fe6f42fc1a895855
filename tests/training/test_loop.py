"""Training that can be interrupted, against training that is not."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as spacy_train

from spacy_seqgen.training import loop
from spacy_seqgen.training.checkpoint import FILE_NAME, Checkpoint
from spacy_seqgen.training.loop import Interrupted, Trainer
from spacy_seqgen.training.run import TrainingError, run_training

from ..util import make_nlp
from .conftest import weights


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def stop_after(monkeypatch, step):
    """Make the process fail right after some step, as if it were killed."""
    after_step = Trainer._after_step

    def fail(self, info, is_best):
        after_step(self, info, is_best)
        if self.progress.step == step:
            raise MemoryError("killed")

    monkeypatch.setattr(Trainer, "_after_step", fail)


def test_same_weights_as_spacy_train(make_config, tmp_path):
    (tmp_path / "spacy").mkdir()
    config = make_config(training__max_steps=20)  # where both evaluate
    spacy_train(init_nlp(config.copy()), tmp_path / "spacy")
    run_training(config, tmp_path / "ours")
    for name in ("model-last", "model-best"):
        assert_same(weights(tmp_path / "spacy" / name), weights(tmp_path / "ours" / name))
        theirs = (tmp_path / "spacy" / name / "meta.json").read_text()
        assert (tmp_path / "ours" / name / "meta.json").read_text() == theirs


def test_what_was_not_computed_has_no_score(make_config, tmp_path):
    """spaCy would say 0.0."""
    config = make_config(training__max_steps=10)
    config["training"]["score_weights"]["never_computed"] = None
    run_training(config, tmp_path)
    performance = json.loads((tmp_path / "model-best" / "meta.json").read_text())["performance"]
    assert "never_computed" not in performance
    assert performance["perplexity"] > 1 and any(name.endswith("_loss") for name in performance)


@pytest.mark.parametrize("step", [0, 6, 10, 23])
def test_resumed_is_as_not_interrupted(make_config, tmp_path, monkeypatch, step):
    run_training(make_config(), tmp_path / "whole", every=3)
    with monkeypatch.context() as patch:
        stop_after(patch, step)
        with pytest.raises(MemoryError):
            run_training(make_config(), tmp_path / "parts", every=3)
    saved = Checkpoint(tmp_path / "parts" / FILE_NAME).progress.step
    assert step - 3 < saved <= step
    # Whatever happens to the random numbers in between must not matter.
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    run_training(make_config(), tmp_path / "parts", resume=True, every=3)
    for name in ("model-last", "model-best"):
        assert_same(weights(tmp_path / "whole" / name), weights(tmp_path / "parts" / name))
    one, other = (Checkpoint(tmp_path / name / FILE_NAME) for name in ("whole", "parts"))
    assert one.progress.results == other.progress.results
    assert one.progress.losses == pytest.approx(other.progress.losses)


@pytest.mark.parametrize(
    "overrides",
    [
        {"training__accumulate_gradient": 2},
        {"training__optimizer__use_averages": False},
        {"training__max_epochs": -1},
        {"training__optimizer": {"@optimizers": "RAdam.v1", "learn_rate": 0.01}},
        {"training__optimizer": {"@optimizers": "SGD.v1", "learn_rate": 0.1}},
        {"training__batcher": {"@batchers": "spacy.batch_by_padded.v1", "size": 800,
                               "buffer": 4, "discard_oversize": False}},
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:The vocabulary of")
def test_resumed_with_other_settings(make_config, tmp_path, monkeypatch, overrides):
    config = make_config(training__max_steps=14)
    for name, value in overrides.items():
        section, key = config["training"], name.split("__")[1:]
        for part in key[:-1]:
            section = section[part]
        section[key[-1]] = value
    run_training(config.copy(), tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(MemoryError):
            run_training(config.copy(), tmp_path / "parts", every=4)
    run_training(config.copy(), tmp_path / "parts", resume=True)
    assert_same(weights(tmp_path / "whole/model-last"), weights(tmp_path / "parts/model-last"))


def test_other_components_are_resumed_too(make_config, tmp_path, monkeypatch):
    """Thinc's own layers, whose moments Thinc's optimizer holds."""
    config = make_config(training__max_steps=9)
    config["nlp"]["pipeline"] = ["text_generator", "senter"]
    config["components"]["senter"] = {"factory": "senter"}
    config["corpora"]["train"]["tokenize"] = True
    config["training"]["before_update"] = None
    config["corpora"]["train"] = {"@readers": "test.sentences.v1", "path": "${paths.train}"}
    run_training(config.copy(), tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(MemoryError):
            run_training(config.copy(), tmp_path / "parts", every=2)
    run_training(config.copy(), tmp_path / "parts", resume=True)
    import spacy

    models = [spacy.load(tmp_path / name / "model-last") for name in ("whole", "parts")]
    one, other = (nlp.get_pipe("senter").model.to_bytes() for nlp in models)
    assert one == other


@pytest.mark.parametrize("batcher", ["spacy.batch_by_padded.v1", "spacy-seqgen.text_streams.v1"])
def test_spacys_own_corpus_works(make_config, corpus, tmp_path, batcher):
    import spacy
    from spacy.tokens import DocBin

    nlp = spacy.blank("en")
    docs = [nlp.make_doc(line) for line in corpus.read_text().splitlines()]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    config = make_config()
    reader = {"@readers": "spacy.Corpus.v1", "path": str(tmp_path / "train.spacy")}
    config["corpora"] = {"train": reader, "dev": reader}
    config["training"]["batcher"] = {"@batchers": batcher}
    if "padded" in batcher:
        config["training"]["batcher"].update(size=200, buffer=16, discard_oversize=False)
    run_training(config, tmp_path / "out")
    nlp = spacy.load(tmp_path / "out" / "model-best")
    first, *_, last = Checkpoint(tmp_path / "out" / FILE_NAME).progress.results
    assert last[0] > 1.3 * first[0]
    assert "</s>" in nlp.get_pipe("text_generator").vocabulary.symbols


def test_averages_are_saved(make_config, tmp_path):
    run_training(make_config(), tmp_path / "out")
    checkpoint = Checkpoint(tmp_path / "out" / FILE_NAME)
    saved = weights(tmp_path / "out" / "model-last")
    for name, value in saved.items():
        raw = checkpoint.tensors[f"weights/text_generator/0/shim0/{name}"]
        average = checkpoint.tensors[f"optimizer/averages/text_generator/0/shim0/{name}"]
        assert torch.equal(average, value)
        assert not torch.equal(raw, value)


def test_patience_counts_on(make_config, tmp_path, monkeypatch):
    config = make_config(training__patience=8, training__eval_frequency=2)
    config["training"]["optimizer"]["learn_rate"] = 0.0
    config["training"]["optimizer"]["use_averages"] = False
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(MemoryError):
            run_training(config.copy(), tmp_path / "out")
    run_training(config.copy(), tmp_path / "out", resume=True)
    assert Checkpoint(tmp_path / "out" / FILE_NAME).progress.step == 8


def test_a_finished_run_has_nothing_to_resume_but_can_go_on(make_config, tmp_path):
    run_training(make_config(training__max_steps=6), tmp_path / "out")
    run_training(make_config(training__max_steps=6), tmp_path / "out", resume=True)
    assert Checkpoint(tmp_path / "out" / FILE_NAME).progress.step == 6
    run_training(make_config(training__max_steps=8), tmp_path / "out", resume=True)
    assert Checkpoint(tmp_path / "out" / FILE_NAME).progress.step == 8


def test_resume_begins_where_there_is_nothing(make_config, tmp_path, capsys):
    run_training(make_config(training__max_steps=2), tmp_path / "out", resume=True)
    assert "beginning" in capsys.readouterr().out
    assert (tmp_path / "out" / "model-last").is_dir()


def test_an_unfinished_run_is_not_thrown_away(make_config, tmp_path):
    config = make_config(training__max_steps=2)
    run_training(config.copy(), tmp_path / "out")
    with pytest.raises(TrainingError, match="--resume"):
        run_training(config.copy(), tmp_path / "out")
    run_training(config.copy(), tmp_path / "out", overwrite=True)


def test_resume_and_overwrite_do_what_a_workflow_wants(make_config, tmp_path, monkeypatch, capsys):
    """Go on where it was interrupted; begin again when finished or changed."""
    arguments = {"resume": True, "overwrite": True, "every": 2}
    config = make_config(training__max_steps=8)
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(MemoryError):
            run_training(config.copy(), tmp_path / "out", **arguments)
    run_training(config.copy(), tmp_path / "out", **arguments)
    assert "Resuming after 6 updates" in " ".join(capsys.readouterr().out.split())
    run_training(config.copy(), tmp_path / "out", **arguments)
    assert "beginning again" in " ".join(capsys.readouterr().out.split())
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(MemoryError):
            run_training(config.copy(), tmp_path / "out", **arguments)
    config["training"]["dropout"] = 0.5
    run_training(config.copy(), tmp_path / "out", **arguments)
    assert "beginning again" in " ".join(capsys.readouterr().out.split())


def test_changed_settings_are_named(make_config, tmp_path, capsys):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    changed = make_config(training__max_steps=3, training__dropout=0.5)
    run_training(changed, tmp_path / "out", resume=True)
    shown = capsys.readouterr().out
    assert "training.dropout" in shown
    assert "differs" in shown
    assert "max_steps" not in shown


def test_a_model_of_another_shape_can_not_be_resumed(make_config, tmp_path):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    other = make_config(components__text_generator__model__hidden_size=9)
    with pytest.raises(TrainingError, match=r"does not fit the config.*--overwrite"):
        run_training(other, tmp_path / "out", resume=True)


def test_a_damaged_checkpoint_is_named(make_config, tmp_path):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    path = tmp_path / "out" / FILE_NAME
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors.*not a complete"):
        run_training(make_config(), tmp_path / "out", resume=True)


def test_a_full_disk_leaves_the_old_checkpoint(make_config, tmp_path, monkeypatch, capsys):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    before = (tmp_path / "out" / FILE_NAME).read_bytes()

    def full(tensors, path, metadata):
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spacy_seqgen.training.checkpoint.save_file", full)
    run_training(make_config(training__max_steps=4), tmp_path / "out", resume=True)
    assert (tmp_path / "out" / FILE_NAME).read_bytes() == before
    assert not list((tmp_path / "out").glob("*.tmp"))
    assert "No space left" in capsys.readouterr().out
    assert (tmp_path / "out" / "model-last").is_dir()


def test_the_first_request_to_stop_ends_after_the_step(make_config, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    run_training(make_config(), whole)
    update, handler = Trainer._update, signal.getsignal(signal.SIGINT)

    def interrupt(self, step, *args):
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)
        update(self, step, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", interrupt)
        with pytest.raises(KeyboardInterrupt, match=r"after 6 updates.*--resume"):
            run_training(make_config(), tmp_path / "out")
    assert signal.getsignal(signal.SIGINT) is handler
    assert Checkpoint(tmp_path / "out" / FILE_NAME).progress.step == 5
    assert (tmp_path / "out" / "model-last").is_dir()
    run_training(make_config(), tmp_path / "out", resume=True)
    assert_same(weights(tmp_path / "out/model-last"), weights(whole / "model-last"))


def test_the_second_request_stops_at_once(make_config, tmp_path, monkeypatch):
    def interrupt(self, step, *args):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
        pytest.fail("went on")

    monkeypatch.setattr(Trainer, "_update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_training(make_config(), tmp_path / "out")


def test_training_in_a_thread_leaves_signals_alone(make_config, tmp_path):
    thread = threading.Thread(
        target=run_training, args=(make_config(training__max_steps=1), tmp_path / "out")
    )
    thread.start()
    thread.join()
    assert (tmp_path / "out" / "model-last").is_dir()


def test_interrupted_knows_the_step():
    assert Interrupted(7).step == 7


def test_every_is_checked(make_config, tmp_path):
    with pytest.raises(ValueError, match="checkpoints"):
        Trainer(make_nlp(), tmp_path, every=0)


def test_loop_names_are_those_of_spacy():
    assert (loop.DIR_MODEL_BEST, loop.DIR_MODEL_LAST) == ("model-best", "model-last")


def test_killed_at_any_moment(config_path, tmp_path):
    """A process that is really killed, several times, against one that is not."""
    command = [
        sys.executable, "-m", "spacy", "seqgen", "train", str(config_path), "--resume",
        "--checkpoint-every", "2", "--training.max_steps", "60", "--training.eval_frequency", "5",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    subprocess.run([*command, "--output", str(whole)], check=True, timeout=120, **quiet)
    rng = random.Random(0)
    checkpoint = parts / FILE_NAME
    for _ in range(2):
        process = subprocess.Popen([*command, "--output", str(parts)], **quiet)
        seen = checkpoint.stat().st_mtime if checkpoint.exists() else 0
        deadline = time.time() + 100
        while time.time() < deadline and process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime > seen:
                break
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        process.kill()
        process.wait()
        Checkpoint(checkpoint)  # always complete
    subprocess.run([*command, "--output", str(parts)], check=True, timeout=120, **quiet)
    for name in ("model-last", "model-best"):
        assert_same(weights(whole / name), weights(parts / name))
    assert {p.name for p in parts.iterdir()} == {"model-last", "model-best", FILE_NAME}
    shutil.rmtree(parts)


def test_a_logger_that_writes_checkpoints_does_not_get_in_the_way(
    make_config, tmp_path, monkeypatch
):
    """One config for `spacy train` and for resuming, interrupted twice."""
    config = make_config()
    logger = {"@loggers": "spacy-seqgen.checkpoint_logger.v1", "every": 3}
    config["training"]["logger"] = {**logger, "path": str(tmp_path / "parts" / FILE_NAME)}
    run_training(config.copy(), tmp_path / "whole")
    for step in (7, 16):
        with monkeypatch.context() as patch:
            stop_after(patch, step)
            with pytest.raises(MemoryError):
                run_training(config.copy(), tmp_path / "parts", resume=True, every=2)
        assert Checkpoint(tmp_path / "parts" / FILE_NAME).progress.step >= step - 2
    run_training(config.copy(), tmp_path / "parts", resume=True)
    assert_same(weights(tmp_path / "whole/model-last"), weights(tmp_path / "parts/model-last"))


def test_numbers_of_numpy_among_the_losses(make_config, tmp_path, monkeypatch):
    """The entity recognizer of spaCy leaves them."""
    update = Trainer._update

    def add(self, *args):
        update(self, *args)
        self.progress.losses["ner"] = np.float32(0.5)

    monkeypatch.setattr(Trainer, "_update", add)
    stop_after(monkeypatch, 2)
    with pytest.raises(MemoryError):
        run_training(make_config(), tmp_path / "out", every=1)
    assert Checkpoint(tmp_path / "out" / FILE_NAME).progress.losses["ner"] == 0.5


def test_resuming_on_data_with_other_symbols(make_config, corpus, tmp_path):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    corpus.write_text(corpus.read_text() + "8888 9999 ssss \n" * 60)  # same ones, other order
    with pytest.raises(TrainingError, match="other symbols or labels"):
        run_training(make_config(), tmp_path / "out", resume=True)


def test_a_damaged_checkpoint_can_be_begun_again(make_config, tmp_path, capsys):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    path = tmp_path / "out" / FILE_NAME
    path.write_bytes(path.read_bytes()[:-10])
    config = make_config(training__max_steps=2)
    run_training(config, tmp_path / "out", resume=True, overwrite=True)
    assert "beginning again" in capsys.readouterr().out
    assert Checkpoint(path).progress.step == 2


def test_a_checkpoint_without_some_parts(make_config, tmp_path):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    path = tmp_path / "out" / FILE_NAME
    checkpoint = Checkpoint(path)
    # Copies: what was read may be a map of the file, which is about to be overwritten.
    tensors = {name: value.clone() for name, value in checkpoint.tensors.items()}
    for kind in ("optimizer/", "random/torch", "weights/"):
        kept = {k: v for k, v in tensors.items() if not k.startswith(kind)}
        save_file(kept, path, {"info": json.dumps(checkpoint.info)})
        with pytest.raises(TrainingError, match="parts are missing"):
            run_training(make_config(), tmp_path / "out", resume=True)
    info = {k: v for k, v in checkpoint.info.items() if k != "config"}
    save_file(tensors, path, {"info": json.dumps(info)})
    with pytest.raises(TrainingError, match="parts are missing"):
        run_training(make_config(), tmp_path / "out", resume=True)


def test_an_output_that_is_a_file(make_config, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(TrainingError, match="exists") as failure:
        run_training(make_config(), tmp_path / "out")
    assert failure.value.title == f"Can't write to {tmp_path / 'out'}"


def test_a_text_that_is_not_there(make_config, tmp_path):
    with pytest.raises(TrainingError, match=r"There is no file nothing\.txt"):
        run_training(make_config(paths__train="nothing.txt"), tmp_path / "out")


def test_a_setting_that_a_model_does_not_know(make_config, tmp_path):
    """It is named in a sentence, wherever in this package that is found out."""
    config = make_config(components__text_generator__model__cell="lstn")
    with pytest.raises(TrainingError, match="cell must be") as failure:
        run_training(config, tmp_path / "out")
    assert failure.value.title == "Can't make the pipeline"


def test_a_finished_training_that_is_resumed_says_so(make_config, tmp_path, capsys):
    run_training(make_config(training__max_steps=3), tmp_path / "out")
    assert "is finished" not in capsys.readouterr().out
    run_training(make_config(training__max_steps=3), tmp_path / "out", resume=True)
    assert "The training there is finished" in " ".join(capsys.readouterr().out.split())


def test_the_last_update_is_evaluated(make_config, tmp_path):
    run_training(make_config(training__max_steps=7), tmp_path / "out")
    assert [step for _, step in Checkpoint(tmp_path / "out" / FILE_NAME).progress.results] == [0, 7]
    assert_same(weights(tmp_path / "out/model-best"), weights(tmp_path / "out/model-last"))


def test_the_last_update_is_evaluated_when_the_data_end(make_config, tmp_path):
    config = make_config(
        training__max_steps=0, training__max_epochs=1, training__eval_frequency=1000,
        training__optimizer__learn_rate__total_steps=30,
    )  # fmt: skip
    run_training(config, tmp_path / "out")
    progress = Checkpoint(tmp_path / "out" / FILE_NAME).progress
    assert [step for _, step in progress.results] == [0, progress.step]
    assert progress.step > 5
    assert_same(weights(tmp_path / "out/model-best"), weights(tmp_path / "out/model-last"))


def test_other_data_are_told_and_begun_again_with(
    make_config, corpus, tmp_path, capsys, monkeypatch
):
    run_training(make_config(training__max_steps=2), tmp_path / "out")
    lines = corpus.read_text().splitlines(keepends=True)
    corpus.write_text("".join(reversed(lines)))  # the same symbols
    run_training(make_config(training__max_steps=3), tmp_path / "out", resume=True)
    assert "The data differ" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(MemoryError):
            run_training(make_config(), tmp_path / "out", resume=True, every=1)
    corpus.write_text("".join(lines) + "other symbols?! ###")
    run_training(make_config(), tmp_path / "out", resume=True, overwrite=True)
    assert "had other data: beginning again" in capsys.readouterr().out


def test_a_full_disk_does_not_end_the_training(make_config, tmp_path, monkeypatch, capsys):
    write, calls = loop.replace_directory, []

    def sometimes_full(path, content):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(loop, "replace_directory", sometimes_full)
    run_training(make_config(training__max_steps=20), tmp_path / "out")
    assert "The pipeline was not saved at step 10" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "out/model-last").is_dir()


def test_a_disk_that_stays_full_is_named(make_config, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop, "replace_directory", full)
    with pytest.raises(TrainingError, match="Make room"):
        run_training(make_config(training__max_steps=2), tmp_path / "out")


def test_an_unknown_option_is_named(make_config, tmp_path):
    config = make_config(components__text_generator__generation={"temprature": 1})
    with pytest.raises(TrainingError, match="temprature"):
        run_training(config, tmp_path / "out")
