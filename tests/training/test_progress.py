"""Watching a training: rows, the bar, the log beside the model."""

import io
import json
import logging
import re
from functools import partial

import numpy as np
import pytest
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as spacy_train
from tqdm import tqdm
from typer.testing import CliRunner

from spacy_seqgen.cli import app
from spacy_seqgen.training import progress
from spacy_seqgen.training.log import FILE_NAME, LogError, TrainingLog, find_logs, read_log
from spacy_seqgen.training.loop import Trainer
from spacy_seqgen.training.progress import _is_number
from spacy_seqgen.training.run import TrainingError, run_training
from spacy_seqgen.visualize.curves import describe_curves, draw_curves

from .test_loop import stop_after

LOGGER = {"@loggers": "spacy-seqgen.progress_logger.v1"}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def make_watched(make_config):
    def make(logger=LOGGER, **overrides):
        config = make_config(**overrides)
        config["training"]["logger"] = logger
        return config

    return make


def run(config, output, *, stdout=None, stderr=None):
    nlp = init_nlp(config)
    Trainer(nlp, output, stdout=stdout, stderr=stderr).train()


def test_a_row_for_each_evaluation_and_no_bar_in_a_file(make_watched, tmp_path):
    out, err = io.StringIO(), io.StringIO()
    run(make_watched(), tmp_path / "out", stdout=out, stderr=err)
    rows = re.findall(r"^ +\d+ +(\d+) .* (\d\.\d{4}) .* \d+:\d\d", out.getvalue(), re.M)
    assert [int(step) for step, _ in rows] == [0, 10, 20, 24]
    assert out.getvalue().count("chars/s") == 3
    assert "LOSS TEXT_GENERATOR" in out.getvalue()
    assert not err.getvalue()
    assert "\r" not in out.getvalue()


def test_a_bar_on_a_terminal(make_watched, tmp_path, monkeypatch):
    monkeypatch.setattr("tqdm.std.TMonitor", None, raising=False)
    # Shown after each update, however fast they are.
    monkeypatch.setattr(progress, "tqdm", partial(tqdm, mininterval=0))
    err = Terminal()
    config = make_watched({**LOGGER, "progress_bar": True}, training__max_steps=12)
    run(config, tmp_path / "out", stdout=io.StringIO(), stderr=err)
    shown = err.getvalue()
    assert re.search(
        r"\| #[1-9], loss \d\.\d{4}, [\d,]+ chars/s, \d+:\d\d left, best 0\.\d{4}",
        shown,
    )
    # All of it on a terminal of the usual width, late in a long training too.
    said = "#130,138, loss 1.4536, 150,565 chars/s, 11:23:51 left, best 0.2367"
    assert len(progress._BAR.format(percentage=100, bar="=" * 5, desc=said)) <= 82
    quiet = Terminal()
    config = make_watched({**LOGGER, "progress_bar": False}, training__max_steps=12)
    run(config, tmp_path / "quiet", stdout=io.StringIO(), stderr=quiet)
    assert not quiet.getvalue()


def test_the_characters_of_windows_are_counted(make_watched, tmp_path):
    nlp = init_nlp(make_watched(training__max_steps=3))
    Trainer(nlp, tmp_path / "out", stdout=io.StringIO()).train()
    assert nlp.get_pipe("text_generator").learned_characters == 4 * 8 * 20


def test_the_log_says_what_the_rows_say(make_watched, tmp_path):
    run(make_watched(), tmp_path / "out", stdout=io.StringIO())
    log = read_log(tmp_path / "out" / FILE_NAME)
    (start,) = log.starts
    assert start["seed"] == 3
    assert {"python", "torch", "spacy-seqgen"} <= set(start["versions"])
    assert start["machine"]["cores"] >= 1
    assert [row["step"] for row in log.rows] == [0, 10, 20, 24]
    for row in log.rows:
        assert row["score"] == pytest.approx(row["scores"]["char_probability"])
        assert row["unit"] == "characters"
        assert row["speed"] is None if row["step"] == 0 else row["speed"] > 0
        assert row["memory"] is None or 50 < row["memory"] <= row["peak_memory"]
    assert log.rows[-1]["best"] == max(row["score"] for row in log.rows)
    # Losses are means: those of the first update and of the last are of one size.
    assert log.rows[0]["losses"]["text_generator"] == pytest.approx(2.8, abs=0.8)
    assert 1 < log.rows[-1]["losses"]["text_generator"] < 3.2


def test_a_resumed_training_goes_on_in_the_same_log(make_watched, tmp_path, monkeypatch):
    run_training(make_watched(), tmp_path / "whole", every=3)
    with monkeypatch.context() as patch:
        stop_after(patch, 16)
        with pytest.raises(MemoryError):
            run_training(make_watched(), tmp_path / "parts", every=3)
    path = tmp_path / "parts" / FILE_NAME
    path.write_text(path.read_text() + '{"step": 20, "epo')  # killed while it wrote
    run_training(make_watched(), tmp_path / "parts", every=3, resume=True)
    whole, parts = (read_log(tmp_path / name / FILE_NAME) for name in ("whole", "parts"))
    assert [start["step"] for start in parts.starts] == [0, 20]
    for one, other in zip(whole.rows, parts.rows, strict=True):
        assert (one["step"], one["score"]) == (other["step"], other["score"])
        assert one["losses"] == pytest.approx(other["losses"])
    run_training(make_watched(training__max_steps=4), tmp_path / "parts", overwrite=True)
    assert [row["step"] for row in read_log(path).rows] == [0, 4]


def test_plain_spacy_train_writes_the_same_log(make_watched, tmp_path):
    config = make_watched(training__max_steps=20)  # where both evaluate
    (tmp_path / "spacy").mkdir()
    spacy_train(init_nlp(config.copy()), tmp_path / "spacy", stdout=io.StringIO())
    run_training(config, tmp_path / "ours")
    one, other = (read_log(tmp_path / name / FILE_NAME).rows for name in ("spacy", "ours"))
    for a, b in zip(one, other, strict=True):
        assert (a["step"], a["score"], a["unit"]) == (b["step"], b["score"], b["unit"])


def test_tokens_are_counted_where_no_component_of_this_package_learns(make_watched, tmp_path):
    config = make_watched(training__max_steps=9)
    config["nlp"]["pipeline"] = ["senter"]
    config["components"] = {"senter": {"factory": "senter"}}
    config["corpora"]["train"] = {"@readers": "test.sentences.v1", "path": "${paths.train}"}
    config["corpora"]["dev"] = config["corpora"]["train"]
    config["training"]["score_weights"] = {"sents_f": 1.0}
    run(config, tmp_path / "out", stdout=io.StringIO(), stderr=Terminal())
    assert read_log(tmp_path / "out" / FILE_NAME).rows[-1]["unit"] == "tokens"


@pytest.mark.parametrize("outer", ["spacy-loggers", "checkpoint_logger"])
def test_it_works_inside_of_other_loggers(make_watched, tmp_path, outer):
    chain = {
        "spacy-loggers": {
            "@loggers": "spacy.ChainLogger.v1",
            "logger1": LOGGER,
            "logger2": {"@loggers": "spacy.LookupLogger.v1", "patterns": [r"^[Ss]core$"]},
        },
        "checkpoint_logger": {
            "@loggers": "spacy-seqgen.checkpoint_logger.v1",
            "path": str(tmp_path / "out" / "checkpoint.safetensors"),
            "logger": LOGGER,
        },
    }
    (tmp_path / "out").mkdir()
    spacy_train(init_nlp(make_watched(chain[outer])), tmp_path / "out", stdout=io.StringIO())
    assert len(read_log(tmp_path / "out" / FILE_NAME).rows) == 3
    assert (tmp_path / "out" / "checkpoint.safetensors").exists() == (outer == "checkpoint_logger")


def test_a_log_that_can_not_be_written_is_a_warning(make_watched, tmp_path, caplog):
    logger = {**LOGGER, "output_file": "no/such/file.jsonl"}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "no").write_text("a file")
    run(make_watched(logger, training__max_steps=2), tmp_path / "out", stdout=io.StringIO())
    assert (tmp_path / "out" / "model-last").is_dir()
    assert "No row in the log" in caplog.text


def test_no_log_when_told_so(make_watched, tmp_path):
    config = make_watched({**LOGGER, "output_file": None}, training__max_steps=2)
    run(config, tmp_path / "out", stdout=io.StringIO())
    assert not (tmp_path / "out" / FILE_NAME).exists()


@pytest.mark.parametrize(
    "text,message",
    [
        ("nonsense\n{}\n", "line 1 is not JSON"),
        ('{"text": "a"}\n', "not of a training log"),
        ('[1, 2]\n{"step": 1}\n', "not of a training log"),
        ('{"step": 0, "losses": 3, "score": 1}\n', "not of a training log"),
        ("\x00\n\x00\n", "not JSON"),
    ],
)
def test_what_is_no_log_is_named(tmp_path, text, message):
    path = tmp_path / FILE_NAME
    path.write_text(text)
    with pytest.raises(LogError, match=message):
        read_log(path)


def write_log(folder, *scores):
    folder.mkdir(parents=True)
    rows = [
        {"step": i * 10, "losses": {"text_generator": 3 - i}, "score": score, "best": max(scores)}
        for i, score in enumerate(scores)
    ]
    (folder / FILE_NAME).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("kind", ["png", "html", "svg"])
def test_plot_training(tmp_path, kind):
    pytest.importorskip("matplotlib")
    write_log(tmp_path / "one", 0.1, 0.3)
    write_log(tmp_path / "a $b$ <i>", 0.1, 0.2)
    assert set(find_logs(tmp_path)) == {"one", "a $b$ <i>"}
    done = CliRunner().invoke(app, ["plot-training", str(tmp_path), "--output", kind])
    assert done.exit_code == 0, done.output
    assert "best 0.3000" in done.output
    content = (tmp_path / f"training.{kind}").read_bytes()
    assert len(content) > 5000
    if kind == "html":
        assert b"<i>" not in content
        assert b"a $b$ &lt;i&gt;" in content
        assert not re.search(rb"(src|href)=\"http", content)


def test_many_trainings_with_long_names_are_drawn(tmp_path):
    """The suite makes a warning of matplotlib's, that there is no room, an error."""
    pytest.importorskip("matplotlib")
    for number in range(10):
        write_log(tmp_path / f"{number}{'x' * 120}{number}", 0.1, 0.3)
    figure = draw_curves(find_logs(tmp_path))
    figure.savefig(tmp_path / "a.png")
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 10
    assert {len(text.get_text()) for text in legend.get_texts()} == {36}
    plots = [axes.get_window_extent() for axes in figure.axes]
    assert all(box.height > 100 and box.width > 100 for box in plots)
    assert all(box.y0 > legend.get_window_extent().y1 for box in plots)


def test_a_score_that_is_not_a_number_is_a_gap(make_watched, tmp_path):
    pytest.importorskip("matplotlib")
    config = make_watched(training__max_steps=12)
    nlp = init_nlp(config)
    pipe, real, asked = nlp.get_pipe("text_generator"), nlp.evaluate, []

    def evaluate(examples, **settings):
        asked.append(1)
        scores = real(examples, **settings)
        return {**scores, "char_probability": float("nan")} if len(asked) == 2 else scores

    nlp.evaluate = evaluate
    out = io.StringIO()
    Trainer(nlp, tmp_path / "out", stdout=out).train()
    assert pipe.learned_characters
    assert "The score at step 10 is nan" in " ".join(out.getvalue().split())
    log = read_log(tmp_path / "out" / FILE_NAME)
    assert [row["score"] is None for row in log.rows] == [False, True, False]
    assert all(row["best"] is not None for row in log.rows)
    assert "none" not in describe_curves({"a": log})
    draw_curves({"a": log}).savefig(tmp_path / "a.png")
    assert "none" in describe_curves({"a": TrainingLog(log.starts, [log.rows[1]])})


def test_plot_training_says_what_is_missing(tmp_path):
    done = CliRunner().invoke(app, ["plot-training", str(tmp_path)])
    assert done.exit_code == 1
    assert "spacy-seqgen.progress_logger.v1" in " ".join(done.output.split())
    write_log(tmp_path / "one")
    done = CliRunner().invoke(app, ["plot-training", str(tmp_path)])
    assert done.exit_code == 1
    assert "before the first" in " ".join(done.output.split())


def test_a_file_that_is_no_log_is_left_alone(make_watched, tmp_path, caplog):
    """It may be the training data, if the output directory is where they are."""
    path = tmp_path / "out" / FILE_NAME
    path.parent.mkdir()
    path.write_text('{"text": "precious"}\n')
    config = make_watched(training__max_steps=2)
    with caplog.at_level(logging.WARNING, logger="spacy"):
        run(config, tmp_path / "out", stdout=io.StringIO())
    assert "output_file" in caplog.text and (tmp_path / "out" / "model-last").exists()
    with pytest.raises(TrainingError, match="output_file"):  # before it has begun
        run_training(config, tmp_path / "out", overwrite=True)
    assert path.read_text() == '{"text": "precious"}\n'


def test_one_damaged_log_of_several_is_left_out(tmp_path, caplog):
    pytest.importorskip("matplotlib")
    write_log(tmp_path / "_one", 0.1, 0.3)
    write_log(tmp_path / "$a_{$ <b>", *np.linspace(0, 1, 2500).tolist())
    write_log(tmp_path / "two", 0.1)
    (tmp_path / "two" / FILE_NAME).write_text("nonsense\n{}\n")
    done = CliRunner().invoke(
        app, ["plot-training", str(tmp_path), "--output", f"{tmp_path}/x.SVG"]
    )
    assert done.exit_code == 0, done.output
    assert "Left out" in caplog.text
    drawn = (tmp_path / "x.SVG").read_text()
    assert "_one" in drawn and len(drawn) < 500_000


def test_numbers_of_numpy_and_what_is_not_finite():
    values = {"a": np.float32(1), "b": np.int64(2), "c": True, "d": "x", "e": float("inf")}
    assert [name for name, value in values.items() if _is_number(value)] == ["a", "b"]
