"""The commands of the documentation run: those of spaCy and of this package as they stand, on
small data, with two updates of each training. What would take long or install something is run dry
(make, workflows), or held against the files it is about (pip, benchmarks)."""

import gzip
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import spacy.cli  # noqa: F401  (fills the app)
import srsly
from spacy.cli._util import app
from thinc.api import Config
from typer.main import get_command
from typer.testing import CliRunner

import spacy_seqgen.cli  # noqa: F401  (an entry point, when `spacy` itself is run)

from .classifiers import TEXTS, make_classifier, make_folder
from .pipeline.test_captioner import make_nlp as make_captioner
from .pipeline.test_captioner import make_pictures
from .pipeline.test_translator import make_nlp as make_translator
from .test_docs import PAGES, ROOT, blocks, name_of
from .util import make_nlp

pytestmark = pytest.mark.skipif(
    not (ROOT / "Makefile").exists(), reason="the repository is not beside these tests"
)
SHORT = ["--training.max_steps", "2", "--training.eval_frequency", "2", "--overwrite"]


def commands(page):
    """The words of each command, and what is typed into it."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            assert "..." not in words, line
            if not words or words[0] in ("export", "mkdir"):
                continue
            stdin = None
            if "|" in words:
                assert words[0] == "echo" and words[2] == "|", line
                words, stdin = words[3:], words[1] + "\n"
            while re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            yield words, stdin


def write_pictures(folder, pictures):
    """Pictures, and files with their captions, beside each other."""
    (folder / "test").mkdir(parents=True)
    rows = []
    for number, (path, captions) in enumerate(list(pictures.items())[:4]):
        name = f"test/{number:05}.png"
        shutil.copy(path, folder / name)
        rows.append({"image": name, "captions": captions})
    for name in ("train", "dev", "test", "heldout"):
        srsly.write_jsonl(folder / f"{name}.jsonl", rows)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with everything that the commands read."""
    folder = tmp_path_factory.mktemp("world")
    pictures = make_pictures(tmp_path_factory.mktemp("pictures"))
    write_pictures(folder, pictures)
    write_pictures(folder / "corpus" / "scenes", pictures)
    for name in ("photo.png", "other.jpg"):
        shutil.copy(next(iter(pictures)), folder / name)
    text = "".join(f"{n} times {n} is {n * n}.\n" for n in range(300))
    tagged = "".join(f"{text}\t{label}\n" for text, label in TEXTS * 5)  # pairs as well
    words = sorted({word for text, _ in TEXTS for word in text.split()})
    vectors = "".join(f"{word} {' '.join(['0.5'] * 50)}\n" for word in words)
    for names, content in {
        "my_text.txt texts.txt prompts.txt books/one.txt": text,
        "train.tsv dev.tsv test.tsv reviews.tsv corpus/sentiment/test.tsv": tagged,
        "train.en train.de dev.en dev.de": text[:200],
        "glove.6B.50d.txt": vectors,
    }.items():
        for name in names.split():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    several = [{"text": text, "labels": [label, "film"]} for text, label in TEXTS]
    for name in ("subjects", "subjects_dev"):
        srsly.write_jsonl(folder / f"{name}.jsonl", several)
    (folder / "texts.txt").write_text("the cat sleeps\nthe black dog\n")
    (folder / "prompts.txt").write_text("To be\nThe\n")
    (folder / "glove.txt.gz").write_bytes(gzip.compress(vectors.encode()))
    shutil.copytree(ROOT / "configs", folder / "configs")
    encoder = make_folder(folder / "encoder")
    for path in (folder / "configs").glob("textcat_trf*.cfg"):
        path.write_text(re.sub(r"package:gt_all[\w/]+", str(encoder), path.read_text()))
    # docs/translator.md leaves the config to its readers.
    config = Config().from_disk(ROOT / "configs" / "translator.cfg", interpolate=False)
    config["components"]["translator"]["model"]["embedding_size"] = 50
    config["components"]["translator"]["source_vocabulary"] = {"@misc": "spacy-seqgen.Words.v1"}
    config.to_disk(folder / "my.cfg")
    for name, nlp in {
        "my_lm": make_nlp(generation={"max_length": 10}),
        "phrasebook": make_translator(attention=True),
        "scenes": make_captioner(pictures, generation={"max_length": 4}),
        "sentiment": make_classifier(encoder),
    }.items():
        (folder / "training" / name).mkdir(parents=True)
        nlp.to_disk(folder / "training" / name / "model-best")
    for name, other in (("my_lm", "topics"), ("scenes", "my_captioner")):
        shutil.copytree(folder / "training" / name, folder / "training" / other)
    rows = [
        {"step": step, "epoch": 0, "seconds": step, "losses": {"text_generator": 1.0}, "scores": {}}
        | {"score": 0.5, "best": True, "speed": 1.0, "unit": "characters"}
        for step in (0, 100, 200)
    ]
    for name in ("my_lm", "topics"):
        srsly.write_jsonl(folder / "training" / name / "training.jsonl", rows)
    return folder


# spaCy leaves files open where it makes a package.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "bash")], ids=name_of)
def test_commands_run(page, world, tmp_path, monkeypatch):
    known = [words for other in PAGES[: PAGES.index(page)] for words, _ in commands(other)]
    found = [(words, stdin) for words, stdin in commands(page) if words not in known]
    if any(words[:3] == ["python", "-m", "spacy"] for words, _ in found):
        shutil.copytree(world, tmp_path, dirs_exist_ok=True)
        monkeypatch.chdir(tmp_path)
    for words, stdin in found:
        if words[:3] == ["python", "-m", "spacy"] and words[3] != "project":
            arguments = words[3:]
            if "train" in arguments[:2]:
                arguments += SHORT[: 5 if arguments[0] == "seqgen" else 4]
            if arguments[0] == "package":  # the wheel is pip's to build
                arguments[arguments.index("wheel")] = "none"
                Path("packages").mkdir(exist_ok=True)
            done = CliRunner().invoke(app, arguments, input=stdin, catch_exceptions=False)
            assert done.exit_code == 0, (arguments, done.output)
        else:
            check(words)


def check(words):
    """Of a command that is not run: what it names exists, and it says what it would do."""
    project = srsly.read_yaml(ROOT / "project.yml")
    if words[:4] == ["python", "-m", "spacy", "project"]:
        kind, *rest = words[4:]
        if kind == "run":
            place = [str(ROOT), *rest[2:], "--dry"]
            done = CliRunner().invoke(app, ["project", "run", rest[0], *place])
            assert done.exit_code == 0, (words, done.output)
            names = {command["name"] for command in project["commands"]}
            assert rest[0] in names | set(project["workflows"]), words
            assert rest[1:2] in ([], ["."]), words  # without it, weasel takes options for a folder
            for option in rest[2:]:
                if option.startswith("--"):
                    assert option.removeprefix("--vars.").split("=")[0] in project["vars"], words
        else:
            assert kind == "assets" and set(rest) <= {"--extra"}, words
    elif words[:3] == ["python", "-m", "benchmarks"]:
        import typer

        from benchmarks.__main__ import NAMES, main

        bench = typer.Typer()
        bench.command()(main)
        command = get_command(bench)
        context = command.make_context("benchmarks", words[3:])
        assert context.params["name"] in NAMES, words
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.M) for target in words[1:]), words
        if shutil.which("make"):
            dry = ["make", "--dry-run", "--directory", str(ROOT), *words[1:]]
            subprocess.run(dry, check=True, stdout=subprocess.DEVNULL)
    elif "pip" in words[:3]:
        config = (ROOT / "setup.cfg").read_text()
        for word in words[words.index("install") + 1 :]:
            if "[" in word:
                for extra in re.search(r"\[(.*)\]", word)[1].split(","):
                    assert re.search(rf"^{extra} =$", config, re.M), words
            if word.startswith("requirements"):
                assert (ROOT / word).exists(), words
    else:
        assert words[:3] == ["python", "-m", "venv"], words
