import json
import os
import re
import threading

import pytest
from spacy.cli._util import app
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

import spacy_seqgen.cli  # noqa: F401  (an entry point, when `spacy` itself is run)

from ..pipeline.test_translator import PAIRS, make_nlp


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("translate") / "model"
    make_nlp(steps=120).to_disk(path)
    return str(path)


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(app, ["seqgen", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def test_lines_of_standard_input(model):
    text = "".join(f"{source}\n" for source, _ in PAIRS)
    assert run("translate", model, "-", stdin=text).splitlines() == [t for _, t in PAIRS]


def test_beam_sizes_and_lists_of_the_best(model, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("the black cat\n\nthe cat sleeps\n")
    assert run("translate", model, path, "-b", "1").splitlines() == [
        "le chat noir",
        "",
        "le chat dort",
    ]
    shown = run("translate", model, path, "-n", "2").splitlines()
    assert shown[0] == "the black cat"
    assert "le chat noir" in shown[1]


def test_rows(model, tmp_path):
    output = tmp_path / "new" / "out.jsonl"
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "the black cat"}\n{"text": "the cat sleeps"}\n')
    assert "2 texts" in run("translate", model, path, "-n", "3", "-o", output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["translation"] for row in rows] == ["le chat noir", "le chat dort"]
    assert len(rows[0]["meta"]["translations"]) == 3
    assert rows[0]["meta"]["finish_reason"] == "end"


def test_attention_of_the_first_text_of_a_file(model, tmp_path):
    (tmp_path / "texts.txt").write_text("the black cat\nthe cat sleeps\n")
    shown = run("attention", model, tmp_path / "texts.txt", "--file", "-o", tmp_path / "a.html")
    assert "le chat noir" in shown
    assert "sleeps" not in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    "arguments,message",
    [
        (("missing.txt",), "missing.txt"),
        (("-", "-o", "-"), "--output needs the name of a file"),
        (("-", "-n", "5", "-b", "2"), "--n-best 5 needs a --beam-size of as many, got 2"),
        (("-", "-c", "other"), "no single component"),
    ],
)
def test_it_says_what_is_wrong(model, arguments, message):
    assert message in " ".join(run("translate", model, *arguments, code=1, stdin="a\n").split())


@pytest.mark.parametrize("option", ["--beam-size", "--n-best", "--batch-size"])
def test_numbers_below_one(model, option):
    shown = " ".join(run("translate", model, "-", option, "0", code=2, stdin="a\n").split())
    assert option in shown and "greater than or equal to 1" in shown


@pytest.mark.parametrize("name", ["texts.txt", "link.txt"])
def test_what_is_read_is_not_overwritten(model, tmp_path, name):
    path = tmp_path / "texts.txt"
    path.write_text("the black cat\n")
    if name != path.name:
        (tmp_path / name).symlink_to(path)
    shown = run("translate", model, path, "-o", tmp_path / name, code=1)
    assert "would be overwritten" in " ".join(shown.split())
    assert path.read_text() == "the black cat\n"


def test_scores_do_not_overwrite_the_pairs(model, tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("the cat\tle chat\n")
    shown = run("evaluate", model, path, "-o", path, code=1)
    assert "would be overwritten" in " ".join(shown.split())
    assert path.read_text() == "the cat\tle chat\n"


def test_texts_from_a_pipe(model, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("the black cat\n",), daemon=True)
    writer.start()
    assert run("translate", model, path).splitlines() == ["le chat noir"]
    writer.join()


def test_bytes_that_are_no_text(model):
    shown = " ".join(run("translate", model, "-", code=1, stdin=b"caf\xe9\n").split())
    assert "text 1: the text is not valid UTF-8: byte 0xe9 behind 3 characters" in shown


@pytest.mark.parametrize("way", ["-", "lines.txt", "rows.jsonl"])
def test_what_comes_before_a_bad_text_is_translated(model, tmp_path, way):
    output = tmp_path / "out.jsonl"
    lines = b"the black cat\nthe cat sleeps\n\xff\nthe black cat\n"
    (tmp_path / "lines.txt").write_bytes(lines)
    rows = [{"text": "the black cat"}, {"text": "the cat sleeps"}, {"text": "\ud800"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    path = "-" if way == "-" else tmp_path / way
    shown = run("translate", model, path, "-o", output, code=1, stdin=lines)
    assert "not valid U" in " ".join(shown.split())
    found = [json.loads(line)["translation"] for line in output.read_text().splitlines()]
    assert found == ["le chat noir", "le chat dort"]


def test_a_byte_order_mark_is_no_text(model, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfthe black cat\n")
    for path, stdin in (("-", b"\xef\xbb\xbfthe black cat\n"), (tmp_path / "a.txt", None)):
        output = tmp_path / "out.jsonl"
        run("translate", model, path, "-o", output, stdin=stdin)
        assert json.loads(output.read_text())["text"] == "the black cat"


def test_what_a_row_says_besides_is_kept(model, tmp_path):
    path, output = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    rows = [
        {"text": "the black cat", "meta": {"id": 7, "finish_reason": "old"}},
        {"text": "the cat sleeps", "meta": "odd"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    run("translate", model, path, "-o", output)
    one, two = [json.loads(line)["meta"] for line in output.read_text().splitlines()]
    assert one["id"] == 7 and one["finish_reason"] == "end"
    assert set(two) == {"finish_reason", "translations"}


@pytest.mark.parametrize("meta", ['{"x": "\\ud83d"}', '{"x": 1e400}', "[7]"])
def test_what_can_not_be_written_is_left_out(model, tmp_path, meta):
    path, output = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    path.write_text(f'{{"text": "the black cat", "meta": {meta}}}\n{{"text": "the cat sleeps"}}\n')
    run("translate", model, path, "-o", output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["translation"] for row in rows] == ["le chat noir", "le chat dort"]
    assert "x" not in rows[0]["meta"]


@Language.component("test_makes_new_docs")
def make_new(doc):
    spaces = [bool(token.whitespace_) for token in doc]
    return Doc(doc.vocab, words=[token.text for token in doc], spaces=spaces)


def test_a_component_that_makes_docs_of_its_own(tmp_path):
    nlp = make_nlp(steps=120)
    nlp.add_pipe("test_makes_new_docs", first=True)
    nlp.to_disk(tmp_path)
    output = tmp_path / "out.jsonl"
    run("translate", tmp_path, "-", "-o", output, stdin="the black cat\n")
    assert json.loads(output.read_text())["translation"] == "le chat noir"


def test_docs_are_not_for_translate(model, tmp_path):
    path = tmp_path / "docs.spacy"
    DocBin().to_disk(path)
    assert "spacy apply" in run("translate", model, path, code=1)


def test_docs_without_translations_are_no_silence(model, tmp_path):
    import spacy

    path = tmp_path / "dev.spacy"
    DocBin(docs=[spacy.blank("en")("the black cat")]).to_disk(path)
    nlp = spacy.load(model)
    nlp.add_pipe("sentencizer", first=True)
    nlp.to_disk(tmp_path / "model")
    shown = " ".join(run("evaluate", tmp_path / "model", path).split())
    assert shown.count("has nothing") == 1
    assert "has nothing that 'translator' could be compared with" in shown
    assert "store_user_data=True" in shown
    (tmp_path / "dev.fr").write_text("le chat noir\n")
    shown = " ".join(run("evaluate", model, path, "-t", tmp_path / "dev.fr", code=1).split())
    assert "is for lines of text" in shown


def test_scores_of_the_component_are_shown(model, tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS))
    shown = run("evaluate", model, path)
    assert "bleu" in shown.lower()


@pytest.mark.parametrize("beam,best,message", [("1", "3", "--n-best 3"), ("2", "3", "got 2")])
def test_more_translations_than_the_beam_has(model, tmp_path, beam, best, message):
    (tmp_path / "a.txt").write_text("the black cat")
    arguments = ("translate", model, tmp_path / "a.txt", "-b", beam, "-n", best)
    assert message in " ".join(run(*arguments, code=1).split())


def test_greedy_search_minds_no_coverage():
    from spacy_seqgen.cli.translate import choose_options
    from spacy_seqgen.generation import GenerationOptions

    options = GenerationOptions(beam_size=5, num_samples=2, coverage_beta=0.2)
    found = choose_options(options, 1, None, None)
    assert (found.beam_size, found.num_samples, found.coverage_beta) == (1, 1, 0.0)
    assert found.temperature == 0
    kept = choose_options(options, None, None, None, 0.0)
    assert kept == options and choose_options(options, None, None, None, 2.5).beam_threshold == 2.5


def test_a_threshold(model, tmp_path):
    (tmp_path / "a.txt").write_text("the black cat\n")
    shown = run("translate", model, tmp_path / "a.txt", "-b", 3, "--beam-threshold", 0.5)
    assert "le chat noir" in shown


def test_attention(model, tmp_path):
    page = tmp_path / "new" / "a.html"
    shown = run("attention", model, "the black cat", "-o", page, "-n", "2")
    assert "le chat noir" in shown
    assert page.read_text().count("<table ") == 2


@pytest.mark.parametrize(
    "arguments,message",
    [
        (("a", "-o", "a.gif"), "must end in one of .html, .png, .pdf, .svg"),
        (("a", "-o", "a.html", "-c", "other"), "no single component"),
        ((" ", "-o", "a.html"), "There is no attention"),
        (("nothing.txt", "--file", "-o", "a.html"), "nothing.txt"),
    ],
)
def test_attention_says_what_is_wrong(model, arguments, message):
    assert message in " ".join(run("attention", model, *arguments, code=1).split())


def test_converted_pairs_are_as_good(model, tmp_path):
    import spacy
    from spacy.training import Corpus

    path, output = tmp_path / "dev.tsv", tmp_path / "new" / "dev.spacy"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS))
    assert "5 pairs" in run("convert", path, output, "--lang", "en")
    nlp = spacy.load(model)
    scores = nlp.evaluate(list(Corpus(output)(nlp)))
    assert scores["exact_match"] == 1.0
    metrics, applied = tmp_path / "metrics.json", tmp_path / "applied.spacy"
    for command in (
        ["evaluate", model, str(output), "--output", str(metrics)],
        ["apply", model, str(output), str(applied)],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert json.loads(metrics.read_text())["bleu"] == pytest.approx(1.0)
    docs = DocBin(store_user_data=True).from_disk(applied).get_docs(nlp.vocab)
    assert [doc._.translation for doc in docs] == [target for _, target in PAIRS]
    assert "must end in .spacy" in run("convert", path, tmp_path / "a.tsv", code=1)


def test_sentences_that_the_pipeline_finds(tmp_path):
    nlp = make_nlp(steps=120)
    nlp.add_pipe("sentencizer", first=True)
    nlp.to_disk(tmp_path / "model")
    text = "the black cat. the cat sleeps."
    assert run("translate", tmp_path / "model", "-", stdin=text) == nlp(text)._.translation + "\n"


def test_a_beam_where_the_config_is_greedy(tmp_path):
    make_nlp(steps=2, generation={"beam_size": 1, "temperature": 0.0}).to_disk(tmp_path)
    shown = run("translate", tmp_path, "-", "-n", "2", stdin="the black cat\n")
    assert len(shown.splitlines()) == 3


def test_the_first_texts_of_many(model):
    shown = run("translate", model, "-", "--limit", "2", stdin="the black cat\n" * 9)
    assert shown.splitlines() == ["le chat noir"] * 2


def test_ranges_are_for_running_text(model, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("the black cat\tle chat noir\n")
    assert "are for running text" in run("evaluate", model, path, "--start", "0.5", code=1)


@Language.component("test_refuses_marks")
def refuse_marks(doc):
    if "!" in doc.text:
        raise ValueError("no marks, please")
    return doc


def test_texts_that_fail_do_not_harm_the_others(tmp_path):
    nlp = make_nlp(steps=120)
    nlp.add_pipe("test_refuses_marks", first=True)
    nlp.to_disk(tmp_path)
    shown = run("translate", tmp_path, "-", stdin="the black cat\nno!\nthe cat sleeps\n", code=1)
    assert "le chat noir\n" in shown and "le chat dort\n" in shown
    assert "can't process 'no!': no marks, please" in shown
    assert "1 text could not be translated" in shown
    assert "no marks" in run("attention", tmp_path, "no!", "-o", tmp_path / "a.html", code=1)
