"""The documentation is true: its Python runs, its configs load, its tables are complete."""

import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from spacy.util import registry
from thinc.api import Config
from typer.main import get_command

from .classifiers import make_classifier, make_folder
from .pipeline.test_captioner import make_nlp as make_captioner
from .pipeline.test_captioner import make_pictures
from .pipeline.test_translator import make_nlp as make_translator
from .test_registry import NAMES
from .util import make_nlp

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").exists(), reason="the documentation is not beside these tests"
)


def name_of(page):
    return page.relative_to(ROOT).with_suffix("").as_posix()


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf8"), re.M | re.S)


def definitions(page):
    """The blocks that are parts of a module, which registers what configs of the page name."""
    return [block for block in blocks(page, "python") if block.startswith("# my_package.py\n")]


TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_tutorials_explain_every_line_of_the_config_they_show(page):
    text = page.read_text(encoding="utf8")
    section = re.search(r"^## The config, line by line\n(.*?)^## ", text, re.M | re.S)[1]
    (config,) = re.findall(r"^```ini\n(.*?)^```", section, re.M | re.S)
    explained = " ".join(re.findall(r"^\| (`.*?`) \|", section, re.M))
    lines = re.findall(r"^(@?\w+) = (.*)$", config, re.M)
    assert len(lines) > 10
    for name, value in lines:
        what = value.strip('"').removeprefix("spacy-seqgen.") if name.startswith("@") else name
        assert f"`{what}`" in explained, (name, value)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_runs(page, tmp_path, monkeypatch, capsys):
    code = blocks(page, "python")
    if not code:
        return
    text = "".join(code)
    makers = {
        "my_lm": (make_lm := lambda: make_nlp(generation={"max_length": 10})),
        "topics": make_lm,
        "phrasebook": lambda: make_translator(attention=True),
        "scenes": lambda: make_captioner(make_pictures(tmp_path / "pictures")),
        "sentiment": lambda: make_classifier(make_folder(tmp_path / "encoder")),
    }
    picture = tmp_path / "corpus" / "scenes" / "test" / "00000.png"
    if str(picture.relative_to(tmp_path)) in text:
        make_pictures(tmp_path / "pictures")
        picture.parent.mkdir(parents=True)
        picture.write_bytes((tmp_path / "pictures" / "red-blue.png").read_bytes())
    for name, make in makers.items():
        if f"training/{name}/" in text:
            (tmp_path / "training" / name).mkdir(parents=True)
            make().to_disk(tmp_path / "training" / name / "model-best")
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for number, block in enumerate(code):
        exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_configs_make_what_they_name(page):
    exec("\n".join(definitions(page)), {"__name__": "my_package"})
    for block in blocks(page, "ini"):
        config = Config().from_str(add_parents(block), interpolate=False)
        for section in walk(config):
            names = [key for key in section if key.startswith("@")]
            for key in names:
                function = getattr(registry, key[1:]).get(section[key])
                known = inspect.signature(function).parameters
                assert set(section) - {key} <= set(known), section
            # Others want a file of the reader's, or are of a service.
            if names and not section.get("path") and "Wandb" not in str(section):
                assert registry.resolve({"it": section})["it"] is not None


def add_parents(text):
    """Excerpts leave the sections out that hold nothing but sections."""
    names = re.findall(r"^\[(.*)\]$", text, re.M)
    missing = {
        ".".join(name.split(".")[:n]) for name in names for n in range(1, name.count(".") + 1)
    } - set(names)
    return "".join(f"[{name}]\n" for name in sorted(missing)) + text


def walk(config):
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from walk(value)


@pytest.mark.parametrize(
    "kind,name",
    [(k, n) for k, names in NAMES.items() for n in names if k not in ("cli", "factories")],
)
def test_settings_of_registered_functions_are_in_a_table(kind, name):
    function = getattr(registry, kind).get(name)
    pages = [page for page in PAGES if page.name != "settings.md"]  # made from the code itself
    text = "\n".join(page.read_text(encoding="utf8") for page in pages)
    assert name.split(".", 1)[1] in text
    section = next(
        part for part in re.split(r"^##+ ", text, flags=re.M)
        if part.startswith(name.split(".", 1)[1]) or "scorer" in name
    )  # fmt: skip
    for parameter in inspect.signature(function).parameters.values():
        row = re.search(rf"^\| [^|]*`{parameter.name}`[^|]* \|.*$", section, re.M)
        if parameter.name == "path" and kind == "readers":
            assert "`path`" in section
            continue
        assert row, parameter.name
        if parameter.default not in (inspect.Parameter.empty, None):
            assert str(parameter.default).lower() in row.group().lower(), row.group()


@pytest.mark.parametrize("component", NAMES["factories"])
def test_settings_of_the_component_are_in_a_table(component):
    module = importlib.import_module("spacy_seqgen.pipeline.factories")
    make = getattr(module, f"make_{component}")
    page = {"cats_explainer": "text_classifier", "image_captioner": "captioner"}.get(component)
    text = (ROOT / "docs" / f"{page or component}.md").read_text(encoding="utf8")
    for name in inspect.signature(make).parameters:
        assert name in ("nlp", "name") or f"| `{name}` |" in text


def test_options_of_the_commands_are_in_their_sections():
    from spacy_seqgen.cli import app

    names = ("cli.md", "training.md")
    texts = [(ROOT / "docs" / name).read_text(encoding="utf8") for name in names]
    pages = [re.sub(r"^```.*?^```", "", text, flags=re.M | re.S) for text in texts]
    sections = dict(re.findall(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", pages[0], re.M | re.S))
    sections["train"] += pages[1]
    missing = []
    for name, command in get_command(app).commands.items():
        for option in command.params:
            if option.name in ("model", "help", "config_path", "ctx"):
                continue
            is_option = option.opts[0].startswith("-")
            names = [*option.opts] if is_option else [option.name.upper()]
            shown = re.findall(r"`([^`]+)`", sections[name])
            missing += [(name, one) for one in names if one not in shown]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf8")):
        if "://" not in target:
            # The wheel's tests have only some of the repository beside them.
            place = page.parent / target
            assert place.exists() or not (ROOT / ".git").exists(), target


def test_the_readme_has_the_commands_of_the_project():
    import srsly

    project = srsly.read_yaml(ROOT / "project.yml")
    text = PAGES[0].read_text(encoding="utf8")
    for command in project["commands"]:
        assert f"| `{command['name']}` | {command['help']} |" in text


def test_the_api_page_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    page = importlib.import_module("make_api_page").make_page()
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf8") == page


def test_the_page_of_settings_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    page = importlib.import_module("make_settings_page").make_page()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf8") == page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_json_is_json(page):
    """Each block an object, or one on each line; files of JSONL hold no longer ones."""
    for block in blocks(page, "json"):
        try:
            json.loads(block)
        except ValueError:
            assert all(json.loads(line) for line in block.splitlines())


def test_the_site_is_built_without_warnings_and_fetches_nothing(tmp_path):
    if importlib.util.find_spec("material") is None or not (ROOT / "setup.cfg").exists():
        pytest.skip("needs mkdocs-material, and the repository")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")}
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.relative_to(ROOT / "docs").with_suffix(".html").as_posix() in pages
    text = (tmp_path / "tutorials" / "char_lm.html").read_text(encoding="utf8")
    assert "files/configs/char_lm.cfg.txt" in text
    assert (tmp_path / "files" / "configs" / "char_lm.cfg.txt").exists()
    assert not re.search(
        r'<(script|img|iframe)[^>]*src="http|<link[^>]*stylesheet[^>]*href="http', text
    )


def test_no_machine_is_named():
    for page in PAGES:
        assert not re.search(r"/(root|home|work|tmp)/", page.read_text(encoding="utf8")), page
