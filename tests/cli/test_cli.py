import gzip
import json
import os
import re
from pathlib import Path

import pytest
import srsly
from spacy.cli._util import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import spacy_seqgen.cli  # noqa: F401  (an entry point, when `spacy` itself is run)

from ..util import TEXTS, make_nlp

COMMANDS = ("generate", "translate", "attention", "score", "evaluate", "train", "convert")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "model"
    make_nlp(steps=250, generation={"max_length": 30}).to_disk(path)
    return str(path)


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(app, ["seqgen", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def test_help_lists_the_commands():
    shown = run("--help")
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name):
    shown = " ".join(run(name, "--help").split())
    assert "Example" in shown
    assert "python -m spacy seqgen" in shown


def test_generate(model):
    shown = run("generate", model, "--prompt", "To be", "-t", "0.2,0.5,1.0,1.2")
    assert shown.count("To be") >= 4
    assert all(f"temperature {t}" in shown for t in ("0.2", "0.5", "1", "1.2"))
    assert "To be, or not to be" in shown


def test_generate_without_a_prompt(model):
    assert run("generate", model, "--max-length", "5").strip()


def test_generate_is_reproducible(model):
    one = run("generate", model, "-p", "B", "--seed", "3", "-t", "1.5")
    assert run("generate", model, "-p", "B", "--seed", "3", "-t", "1.5") == one
    assert run("generate", model, "-p", "B", "--seed", "4", "-t", "1.5") != one


def test_generate_streams_the_same(model):
    arguments = ("generate", model, "-p", "To be", "-p", "Br", "-t", "0.5,1.0")
    plain = run(*arguments).split("=")
    streamed = run(*arguments, "--stream").split("=")
    assert sorted(plain) == sorted(streamed)


def test_generate_writes_what_prodigy_reads(model, tmp_path):
    output = tmp_path / "out.jsonl"
    shown = run(
        "generate", model, "-p", "To be", "-p", "Br", "-t", "0.5,1", "-k", "2", "-o", output
    )
    assert "8 texts" in shown
    rows = list(srsly.read_jsonl(output))
    assert len(rows) == 8
    for row in rows:
        assert row["text"] == row["meta"]["prompt"] + row["meta"]["continuation"]
        assert row["meta"]["temperature"] in (0.5, 1.0)
        assert row["meta"]["finish_reason"] in ("end", "length")
        assert row["meta"]["log_prob"] <= 0


@pytest.mark.parametrize("kind", ["txt", "jsonl", "-"])
def test_generate_from_a_file(model, tmp_path, kind):
    texts = ["To be", "", "Brevity \U0001f600"]
    path, stdin = "-", "\n".join(texts) + "\n"
    if kind != "-":
        path = tmp_path / f"prompts.{kind}"
        lines = texts if kind == "txt" else [json.dumps({"text": text}) for text in texts]
        path.write_text("\n".join(lines))
    output = tmp_path / "out.jsonl"
    run("generate", model, "-f", path, "-o", output, stdin=stdin if path == "-" else None)
    assert [row["meta"]["prompt"] for row in srsly.read_jsonl(output)] == texts


def test_generate_stop_and_beam(model):
    shown = run("generate", model, "-p", "To be", "--beam-size", "3", "-k", "2")
    assert shown.count("beam 3") == 2
    assert ", or" in run("generate", model, "-p", "To be", "-t", "0", "--stop", " not")
    assert " not" not in run("generate", model, "-p", "To be", "-t", "0", "--stop", " not")


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["-t", "hot"], "--temperature"),
        (["-t", "-1"], "temperature must be from 0"),
        (["--top-p", "7"], "top_p"),
        (["--beam-size", "2", "--top-k", "3"], "beam_size"),
        (["--beam-size", "2", "-t", "0.5"], "temperature (0.5) belongs to sampling"),
        (["--stream", "--output", "x"], "--stream"),
        (["-p", "a", "-f", "b"], "--prompt-file"),
        (["-f", "nothing.txt"], "nothing.txt"),
        (["-c", "nobody"], "nobody"),
        (["--stream", "-k", "3"], "--num-samples"),
    ],
)
def test_generate_says_what_is_wrong(model, arguments, message):
    assert message in " ".join(run("generate", model, *arguments, code=1).split())


@pytest.mark.parametrize(
    "content,message",
    [
        ('{"text": 3}', 'line 1 has no "text"'),
        ('{"text": "a"}\n\n{"x"', "line 3 is not JSON"),
        ('{"text": "a\\ud800"}', "surrogate"),
    ],
)
def test_bad_prompt_files_are_named_with_the_line(model, tmp_path, content, message):
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    assert message in " ".join(run("generate", model, "-f", path, code=1).split())


def test_interrupted_generation_keeps_what_it_has(model, tmp_path, monkeypatch):
    from spacy_seqgen.pipeline.text_generator import TextGenerator

    predict, calls = TextGenerator.predict, []

    def interrupt(self, docs):
        calls.append(docs)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return predict(self, docs)

    monkeypatch.setattr(TextGenerator, "predict", interrupt)
    output = tmp_path / "out.jsonl"
    shown = run("generate", model, "-p", "a", "-t", "0.5,1", "-o", output, code=130)
    assert "Interrupted" in shown
    assert len(list(srsly.read_jsonl(output))) == 1


def test_no_pipeline():
    assert "Can't load" in run("generate", "nowhere", code=1)


def test_no_generator(tmp_path):
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path)
    shown = run("generate", tmp_path, code=1)
    assert "text_generator" in shown
    assert "sentencizer" in shown


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "dev.txt"
    path.write_text("\n".join(TEXTS) + "\nzyx!\n")
    return path


def test_score(model, data, tmp_path):
    output = tmp_path / "scores.jsonl"
    shown = run("score", model, data, "--most", "3", "-o", output)
    assert "Bits per character" in shown
    assert "'zyx'" in shown
    (row,) = srsly.read_jsonl(output)
    assert row["text"] == data.read_text()
    assert all(row["text"][t["start"] : t["end"]] == t["text"] for t in row["tokens"])
    bits = sum(t["surprisal"] for t in row["tokens"])
    assert bits / len(row["text"]) == pytest.approx(row["meta"]["bits_per_char"], rel=1e-3)


def test_score_agrees_with_evaluate(model, data, tmp_path):
    shown = run("score", model, data)
    output = tmp_path / "metrics.json"
    evaluated = run("evaluate", model, data, "-o", output)
    bits = srsly.read_json(output)["text_generator"]["bits_per_char"]
    assert f"{bits:.4f}" in shown
    assert f"{bits:.4f}" in evaluated
    assert "char_accuracy" in evaluated


def test_evaluate_other_formats(model, data, tmp_path):
    nlp = make_nlp()
    docs = [nlp.make_doc(text) for text in TEXTS]
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    srsly.write_jsonl(tmp_path / "dev.jsonl", [{"text": text} for text in TEXTS])
    one = run("evaluate", model, tmp_path / "dev.spacy")
    other = run("evaluate", model, tmp_path / "dev.jsonl")
    assert one.split("text_generator")[1] == other.split("text_generator")[1]


def test_ranges(model, data):
    length = len(data.read_text())
    shown = run("score", model, data, "--start", "0.5")
    assert f"{length - length // 2}" in shown
    assert f"{10} " in run("score", model, data, "--stop", "10")
    assert "--start" in run("score", model, data, "--start", "half", code=1)


@pytest.mark.parametrize("command", ["score", "evaluate"])
def test_empty_and_broken_data(model, tmp_path, command):
    path = tmp_path / "x.txt"
    path.write_text("")
    assert "no text" in run(command, model, path, code=1)
    path.write_bytes(b"ab\xff")
    assert "offset 2" in run(command, model, path, code=1)


def test_spacys_own_commands_work(model, data, tmp_path):
    nlp = make_nlp()
    DocBin(docs=[nlp.make_doc(text) for text in TEXTS]).to_disk(tmp_path / "dev.spacy")
    output = tmp_path / "metrics.json"
    result = CliRunner().invoke(
        app, ["evaluate", model, str(tmp_path / "dev.spacy"), "--output", str(output)]
    )
    assert result.exit_code == 0, result.output
    assert srsly.read_json(output)["bits_per_char"] > 0
    target = tmp_path / "out.spacy"
    result = CliRunner().invoke(app, ["apply", model, str(data), str(target)])
    assert result.exit_code == 0, result.output
    docs = DocBin(store_user_data=True).from_disk(target).get_docs(nlp.vocab)
    assert all(doc._.continuation is not None for doc in docs)


def test_train(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("abc " * 300)
    config = os.path.join(os.path.dirname(__file__), "..", "..", "configs", "char_lm.cfg")
    overrides = ["--paths.train", path, "--paths.dev", path, "--training.max_steps", "3"]
    shown = run("train", config, "-o", tmp_path / "out", "-n", "1", *overrides)
    assert "Saved pipeline" in shown
    again = run("train", config, "-o", tmp_path / "out", *overrides, code=1)
    assert "--resume" in again
    resumed = run("train", config, "-o", tmp_path / "out", "--resume", *overrides)
    assert "Resuming after 4 updates" in resumed


def test_train_without_development_data(tmp_path):
    """Found out at the first evaluation, and said in one sentence."""
    path = tmp_path / "train.txt"
    path.write_text("abc " * 300)
    config = os.path.join(os.path.dirname(__file__), "..", "..", "configs", "char_lm.cfg")
    paths = ["--paths.train", path, "--paths.dev", tmp_path / "gone.txt"]
    shown = run("train", config, "-o", tmp_path / "out", *paths, code=1)
    assert "Can't read the data" in shown and "gone.txt" in shown


def test_init_labels_saves_the_vocabulary_that_training_reads(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("abc " * 300)
    config = os.path.join(os.path.dirname(__file__), "..", "..", "configs", "char_lm.cfg")
    overrides = ["--paths.train", str(path), "--paths.dev", str(path)]
    command = ["init", "labels", config, str(tmp_path / "labels"), *overrides]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    saved = tmp_path / "labels" / "text_generator.json"
    reader = {"@readers": "spacy.read_labels.v1", "path": str(saved), "require": True}
    text = Path(config).read_text().replace("vocabulary = null", "")
    text += "[initialize.components.text_generator.vocabulary]\n"
    text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in reader.items())
    (tmp_path / "c.cfg").write_text(text)
    overrides += ["--training.max_steps", "2", "--training.max_epochs", "-1"]
    run("train", tmp_path / "c.cfg", "-o", tmp_path / "out", *overrides)
    data = srsly.read_json(tmp_path / "out/model-last/text_generator/vocabulary")
    assert data == srsly.read_json(saved)


def test_directories_of_output_are_made(model, tmp_path):
    data = tmp_path / "data.txt"
    data.write_text("To be")
    for name, arguments in (
        ("generate", ["-p", "To"]),
        ("score", [data]),
        ("evaluate", [data]),
    ):
        path = tmp_path / name / "deep" / "out.json"
        run(name, model, *arguments, "--output", path)
        assert path.stat().st_size


def test_output_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("To be")
    path = tmp_path / "file" / "out.jsonl"
    for name, arguments in (
        ("generate", ["-p", "To"]),
        ("score", [tmp_path / "file"]),
        ("evaluate", [tmp_path / "file"]),
    ):
        shown = run(name, model, *arguments, "--output", path, code=1)
        assert "Can't write" in " ".join(shown.split())


def test_score_says_where_half_a_surrogate_pair_is(model, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "fine"}\n{"text": "abc \\ud800"}\n')
    shown = " ".join(run("score", model, path, code=1).split())
    assert "line 2" in shown
    assert "at character 4" in shown


def test_score_reads_compressed_jsonl(model, tmp_path):
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "To be"}\n'))
    assert re.search(r"Characters +5\b", run("score", model, path))


@pytest.mark.parametrize("bound", ["nan", "1.5", "-3"])
def test_score_bounds_are_checked(model, tmp_path, bound):
    path = tmp_path / "data.txt"
    path.write_text("To be")
    assert "start must be a number" in " ".join(
        run("score", model, path, "--start", bound, code=1).split()
    )


def test_bounds_belong_to_running_text(model, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "To be"}\n')
    shown = run("evaluate", model, path, "--start", "0.5", code=1)
    assert "running text" in " ".join(shown.split())


def test_a_text_longer_than_the_limit_of_spacy(model, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(srsly.json_dumps({"text": "To be, or " * 100_100}))
    assert "1,001,000" in run("score", model, path, "--most", "0")


def test_the_directory_above_the_pipeline(model, tmp_path):
    make_nlp().to_disk(tmp_path / "model-best")
    assert "Did you mean" in run("generate", tmp_path, code=1)
