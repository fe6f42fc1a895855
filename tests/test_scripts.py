"""What goes wrong in the project's scripts is one sentence."""

import importlib
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
import spacy
import srsly

SCRIPTS = Path(__file__).parents[1] / "scripts"
pytestmark = pytest.mark.skipif(not SCRIPTS.exists(), reason="not in an installed package")


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Modules that were imported by other tests stay."""
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield
    for name in set(sys.modules) - known:
        if (SCRIPTS / f"{name}.py").exists():
            del sys.modules[name]


@pytest.fixture
def files(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "other")
    translator = spacy.blank("en")
    translator.add_pipe("sentencizer", name="translator")  # never asked to translate
    translator.to_disk(tmp_path / "pipeline")
    captioner = spacy.blank("en")
    captioner.add_pipe("sentencizer", name="image_captioner")
    captioner.to_disk(tmp_path / "captioner")
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    (tmp_path / "short.tsv").write_text("a\tb\n")
    (tmp_path / "short.align").write_text("0-0\n0-0\n")
    (tmp_path / "odd.jsonl").write_text('{"image": "x.png"}\n')
    (tmp_path / "text.jsonl").write_text("nonsense\n")
    srsly.write_yaml(tmp_path / "none.yml", {"title": "x"})
    (tmp_path / "odd.yml").write_text("a: [")
    return tmp_path


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("score_alignment", ["gone", "pairs.tsv"], "Can't load the pipeline"),
        ("score_alignment", ["other", "pairs.tsv"], "has no translator: it has sentencizer"),
        ("score_alignment", ["pipeline", "gone.tsv"], "Can't read"),
        ("score_alignment", ["pipeline", "pairs.tsv"], "pairs.align"),
        ("score_alignment", ["pipeline", "short.tsv"], "has 1 pairs, and it has 2"),
        ("score_attention", ["other", "odd.jsonl"], "has no image_captioner"),
        ("score_attention", ["captioner", "gone.jsonl"], "Can't read"),
        ("score_attention", ["captioner", "text.jsonl"], "Can't read"),
        ("score_attention", ["captioner", "odd.jsonl"], "not what make_scenes.py writes"),
        ("score_tokenized", ["other", "pairs.tsv", "pairs.tsv", "de"], "has no translator"),
        ("score_tokenized", ["pipeline", "pairs.tsv", "gone.txt", "de"], "gone.txt"),
        ("fetch_assets", [["x"], "gone.yml"], "lists no assets"),
        ("fetch_assets", [["x"], "none.yml"], "lists no assets"),
        ("fetch_assets", [["x"], "odd.yml"], "lists no assets"),
        ("need", [["sacremoses_", "spacy"], "multi30k"], "pip install '.[multi30k]'"),
    ],
)
def test_what_is_wrong_is_one_sentence(files, monkeypatch, capsys, script, arguments, said):
    monkeypatch.chdir(files)
    module = importlib.import_module(script)
    paths = [Path(arg) if isinstance(arg, str) and "." in arg else arg for arg in arguments]
    with pytest.raises(SystemExit) as stopped:
        module.main(*paths)
    assert stopped.value.code == 1
    shown = capsys.readouterr()
    assert said in " ".join((shown.out + shown.err).split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"language": "xx"}, "--language must be one of en, fr, de, es"),
        ({"held_out": "apple"}, "--held-out must be one of"),
        ({}, "fetch them anew"),
    ],
)
def test_emoji_that_can_not_be_drawn(tmp_path, capsys, options, said):
    pytest.importorskip("emoji")
    pytest.importorskip("resvg_py")
    make_emoji = importlib.import_module("make_emoji")
    for file in make_emoji.STYLES.values():
        (tmp_path / file).write_bytes(b"no archive")
    with pytest.raises(SystemExit):
        make_emoji.main(tmp_path, tmp_path / "out", **options)
    assert said in " ".join(capsys.readouterr().out.split())
    if not options:  # an archive of something else
        for file in make_emoji.STYLES.values():
            tarfile.open(tmp_path / file, "w:gz").close()
        with pytest.raises(SystemExit):
            make_emoji.main(tmp_path, tmp_path / "out")


def test_emoji_without_what_draws_them(tmp_path, capsys, monkeypatch):
    make_emoji = importlib.import_module("make_emoji")
    monkeypatch.setitem(sys.modules, "emoji", None)
    with pytest.raises(SystemExit):
        make_emoji.main(tmp_path, tmp_path / "out")
    assert "pip install '.[emoji]'" in " ".join(capsys.readouterr().out.split())


def test_no_scenes(tmp_path):
    importlib.import_module("make_scenes").main(tmp_path / "out", train=-1, others=0)
    assert (tmp_path / "out" / "train.jsonl").read_text() == ""


def test_too_few_pairs_to_split(tmp_path, capsys, monkeypatch):
    (tmp_path / "pairs.txt").write_text("a\tb\n")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "pairs.txt"), str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        importlib.import_module("split_pairs").main()
    assert "too few pairs: none for" in capsys.readouterr().err


def test_clean_says_what_it_left(tmp_path, capsys, monkeypatch):
    clean = importlib.import_module("clean")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "topics").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "training" / "tatoeba").mkdir()
    clean.main(tmp_path)
    assert (tmp_path / "elsewhere").is_dir() and not list((tmp_path / "training").iterdir())
    (tmp_path / "training" / "tatoeba").mkdir()
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        clean.main(tmp_path)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Removed nothing" in shown and "Can't remove" in shown
