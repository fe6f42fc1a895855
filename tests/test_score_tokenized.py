import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "score_tokenized.py"


@pytest.fixture
def script(monkeypatch):
    if not SCRIPT.exists():
        pytest.skip("the scripts are not beside these tests")
    pytest.importorskip("sacremoses")
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("score_tokenized", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_case_and_quotes_do_not_count(script):
    gold = ["L\u2019homme assis sur un banc \u00bb"]
    score, signature = script.tokenized_bleu(["l'homme assis sur un banc \""], gold, "fr")
    assert score == pytest.approx(100)
    assert "case:lc" in signature and "tok:none" in signature


def test_french_apostrophes_end_words(script):
    # Eight words for Moses: l' homme d' un certain âge est assis
    gold, found = (
        ["l'homme d'un certain \u00e2ge est assis"],
        ["l'homme d'un certain \u00e2ge est debout"],
    )
    score, _ = script.tokenized_bleu(found, gold, "fr")
    precisions = [7 / 8, 6 / 7, 5 / 6, 4 / 5]
    expected = 1.0
    for precision in precisions:
        expected *= precision**0.25
    assert score == pytest.approx(100 * expected)


def test_the_workflow_calls_it_as_it_is(script):
    """`--lang` is an option, not an argument."""
    import typer
    from typer.testing import CliRunner

    app = typer.Typer()
    app.command()(script.main)
    done = CliRunner().invoke(app, ["model", "source", "target", "--lang", "de"])
    assert done.exit_code == 1, done.output  # 2 would be: the options are not these
