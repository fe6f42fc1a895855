import numpy as np
import pytest
import spacy
from spacy.training import Example
from typer.testing import CliRunner

from spacy_seqgen.calibration import calibration, classification_report
from spacy_seqgen.cli import app


def examples(pairs):
    vocab = spacy.blank("en").vocab
    found = []
    for predicted, true in pairs:
        one, two = (spacy.tokens.Doc(vocab, words=["a"]) for _ in range(2))
        one.cats, two.cats = predicted, true
        found.append(Example(one, two))
    return found


def test_calibration_by_hand():
    said, true = np.array([0.95, 0.95, 0.95, 0.95, 0.05]), np.array([1, 1, 0, 0, 0], dtype=bool)
    found = calibration(said, true, bins=10)
    assert found["ece"] == pytest.approx((4 * 0.45 + 0.05) / 5)
    assert [item["count"] for item in found["bins"]] == [1, 4]
    assert calibration(np.array([1.0, 1.0]), np.array([True, True]))["ece"] == 0


def test_exclusive_report():
    pairs = [
        ({"a": 0.9, "b": 0.1}, {"a": 1.0, "b": 0.0}),
        ({"a": 0.8, "b": 0.2}, {"a": 0.0, "b": 1.0}),
        ({"a": 0.3, "b": 0.7}, {"a": 0.0, "b": 1.0}),
        ({"a": 0.3, "b": 0.7}, {"c": 1.0}),  # never learned
    ]
    found = classification_report(examples(pairs), ["a", "b"], True)
    assert found["confusion"] == [[1, 0], [1, 1]]
    assert found["accuracy"] == 0.5
    assert found["per_class"]["a"] == {"p": 0.5, "r": 1.0, "f": pytest.approx(2 / 3), "texts": 1}
    assert found["per_class"]["b"]["r"] == 0.5


def test_other_report():
    pairs = [({"a": 0.9, "b": 0.9}, {"a": 1.0, "b": 0.0}), ({"a": 0.9, "b": 0.1}, {"a": 1.0})]
    found = classification_report(examples(pairs), ["a", "b"], False)
    assert found["accuracy"] == 0.75
    assert "confusion" not in found
    assert classification_report([], ["a"], True)["accuracy"] == 0.0


@pytest.mark.parametrize("factory", ["textcat", "textcat_multilabel"])
def test_report_command(tmp_path, factory):
    pytest.importorskip("matplotlib")
    nlp = spacy.blank("en")
    nlp.add_pipe(factory)
    data = tmp_path / "a.tsv"
    data.write_text("a good film\tpos\nbad\t$ver$y {bad\n")  # which is no formula
    for label in ("pos", "$ver$y {bad"):
        nlp.get_pipe(factory).add_label(label)
    nlp.initialize()
    nlp.to_disk(tmp_path / "model")
    output = tmp_path / "report"
    command = ["classification-report", str(tmp_path / "model"), str(data), "--output", str(output)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    pictures = {"reliability.png"} | ({"confusion.png"} if factory == "textcat" else set())
    assert {path.name for path in output.iterdir()} == pictures | {"report.json"}
    (tmp_path / "stsa.binary.test").write_text("pos a good film\n")
    evaluate = ["evaluate", command[1], str(tmp_path / "stsa.binary.test"), "-f", "label_text"]
    done = CliRunner().invoke(app, evaluate)
    assert done.exit_code == 0 and "cats_score" in done.output, done.output
    done = CliRunner().invoke(app, [*evaluate, "--start", "0.5"])
    assert done.exit_code == 1 and "are for running text" in done.output
    spacy.blank("en").to_disk(tmp_path / "blank")
    command[1] = str(tmp_path / "blank")
    assert CliRunner().invoke(app, command).exit_code == 1
