"""The report: what is in it, and how a browser shows it."""

import html
import json
import math
import os
import re
import shutil
from pathlib import Path

import pytest
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_seqgen.cli import app
from spacy_seqgen.report import SECTIONS, Inputs, make_report, samples, summary, translations
from spacy_seqgen.training.log import FILE_NAME

from .browser import Browser, find_browser
from .classifiers import TEXTS as LABELLED
from .classifiers import make_classifier, make_folder
from .pipeline.test_captioner import make_examples as make_captioned
from .pipeline.test_captioner import make_nlp as make_captioner
from .pipeline.test_captioner import make_pictures
from .pipeline.test_translator import PAIRS
from .pipeline.test_translator import make_nlp as make_translator
from .util import TEXTS, make_nlp

pytest.importorskip("matplotlib")

NASTY = "</div><script>alert(1)</script> & <b>"
BY_LENGTH = {"1-5": {"bleu": 0.9, "sentences": 3}, "6-10": {"bleu": 0.4, "sentences": 2}}
# Of a page: how wide it is, what sticks out, which figures can't be seen.
LOOK = """({
  inner: window.innerWidth, scroll: document.documentElement.scrollWidth,
  outside: [...document.querySelectorAll('body *')].filter(
    e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.wide, .seqgen')
  ).map(e => e.outerHTML.slice(0, 80)),
  figures: [...document.querySelectorAll('figure svg, .seqgen table')].map(e => {
    const box = e.getBoundingClientRect();
    return e.checkVisibility() && box.width > 100 && box.height > 100;
  }),
  images: [...document.querySelectorAll('img')].map(e => {
    const box = e.getBoundingClientRect();
    const shown = e.complete && e.naturalWidth > 16 && box.width > 50 && e.checkVisibility();
    return [e.getAttribute('alt'), shown];
  }),
  tables: [...document.querySelectorAll('.seqgen table')].map(e => e.getAttribute('aria-label')),
  labels: [...document.querySelectorAll('svg')].map(e => e.getAttribute('aria-label')),
})"""
# The lowest contrast between any text and what is painted behind it (WCAG 2.1, 1.4.3).
CONTRAST = """(() => {
  const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(
      v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
      layers.unshift([r, g, b, a]);
    }
    return layers.reduce((below, [r, g, b, a]) =>
      [r, g, b].map((v, i) => v * a + below[i] * (1 - a)), [255, 255, 255]);
  };
  let lowest = 21;
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.tagName === 'STYLE') continue;
    const style = getComputedStyle(e);
    const ink = parse(e.closest('svg') ? style.fill : style.color).slice(0, 3);
    const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
    lowest = Math.min(lowest, (a + 0.05) / (b + 0.05));
  }
  return lowest;
})()"""


def save_run(folder, nlp, examples, *, log=True):
    """As a training leaves it: a pipeline that knows what it was evaluated on, and a log."""
    folder.mkdir(parents=True)
    docs = DocBin(store_user_data=True)
    for example in examples:
        docs.add(example)
    corpus = folder.parent.parent / f"{nlp.pipe_names[0]}.spacy"
    docs.to_disk(corpus)
    nlp.config["paths"]["dev"] = str(corpus)
    nlp.to_disk(folder / "model-best")
    start = {"step": 0, "scores": ["bleu"], "started": "2020-01-01T00:00:00+00:00", "seed": 0,
             "versions": {"python": "3"}, "machine": {"processor": "abacus"}}  # fmt: skip
    name = nlp.pipe_names[0]
    rows = [
        {"step": n * 10, "losses": {name: 3 - n}, "score": n / 9, "best": n / 9, "seconds": n,
         "scores": {"bits_per_char": 3 - n}, "speed": 1200.0, "unit": "characters"}
        for n in range(3)
    ]  # fmt: skip
    if log:
        lines = (json.dumps(row) + "\n" for row in (start, *rows))
        (folder / FILE_NAME).write_text("".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three trainings with their scores."""
    root = tmp_path_factory.mktemp("report")
    nlp = make_nlp(steps=40)
    texts = [TEXTS[0] + NASTY, *TEXTS]
    save_run(root / "training" / "lm", nlp, [nlp.make_doc(text) for text in texts])
    for name, attention, steps in (("seq", "additive", 120), ("seq-plain", "none", 40)):
        nlp = make_translator(steps=steps, model={"attention": attention})
        docs = [nlp.make_doc(source) for source, _ in PAIRS]
        for doc, (_, target) in zip(docs, PAIRS, strict=True):
            doc._.translation = target
        save_run(root / "training" / name, nlp, docs)
    nlp = make_classifier(make_folder(root / "encoder"), steps=20)
    docs = [nlp.make_doc(text) for text, _ in [*LABELLED, (NASTY, "pos")]]
    for doc, (_, label) in zip(docs, [*LABELLED, (NASTY, "pos")], strict=True):
        doc.cats = {"pos": float(label == "pos"), "neg": float(label == "neg")}
    save_run(root / "training" / "cats", nlp, docs)
    pictures = make_pictures(root / "pictures")
    nlp = make_captioner(pictures, steps=60)
    docs = [example.reference for example in make_captioned(nlp, pictures)]
    docs[0]._.captions = [NASTY]
    save_run(root / "training" / "pictures", nlp, docs)
    (root / "metrics").mkdir()
    for name in ("seq", "seq-plain"):
        scores = {"bleu": 0.5, "bleu_signature": "tok:13a|version", "bleu_by_length": BY_LENGTH}
        text = json.dumps({"translator": scores, "speed": 3})
        (root / "metrics" / f"{name}.json").write_text(text)
    (root / "metrics" / "lm.json").write_text('{"text_generator": {"bits_per_char": 1.25}}')
    return root / "training"


def report(folder, output, *options):
    return CliRunner().invoke(app, ["report", str(folder), "--output", str(output), *options])


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    done = report(folder, path, "--prompt", NASTY)
    assert done.exit_code == 0, done.output
    return path


def test_the_page_holds_everything_and_fetches_nothing(page):
    text = page.read_text(encoding="utf8")
    for part in ("1.2500", "tok:13a|version", "Temperature 0.2", "Temperature 1.2", "figure 8.2",
                 "le chat noir", "It has no attention", "6-10", "abacus", "0.4000"):  # fmt: skip
        assert part in text, part
    assert 'class="absent"' not in text
    for part in (
        "calibration error",
        "true classes down",
        "In truth: pos",
        "seqgen-captions",
        "are right",
    ):
        assert part in text, part
    assert text.count("<svg") == 5 + 1 + 1 + 1
    assert text.count('<div class="seqgen">') == 2
    assert text.count('<div class="seqgen" dir="auto">') == 3
    assert "<script" not in text
    assert html.escape(NASTY) in text
    assert not re.search(r"(src|href)=[\"'](?!#|data:image/)|@import|url\([^#]", text)


def test_the_summary_has_the_score_that_chose_each_training(folder, tmp_path):
    inputs = Inputs(folder, folder.parent / "metrics")
    table = summary.build(inputs)[-1]
    assert [row[0] for row in table.rows] == [run.name for run in inputs.runs]
    for run, row in zip(inputs.runs, table.rows, strict=True):
        weights = run.config["training"]["score_weights"]
        chosen = {"bits_per_char": "char_probability"}.get(row[1], row[1])
        assert weights[chosen] == max(weight for weight in weights.values() if weight)
        assert (row[2] is None) == (run.log is None)
        assert row[4] is None or row[4] == "0.0"
    assert any(row[3] is not None for row in table.rows)
    assert ["lm", "bits_per_char", 1, 1.25] in [row[:4] for row in table.rows]


def test_markdown(folder, tmp_path):
    done = report(folder, tmp_path / "report.md")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.md").read_text(encoding="utf8")
    assert "| bits\\_per\\_char | 1.2500 |" in text
    pictures = re.findall(r"\]\((report_figures/\d\.png)\)", text)
    assert len(pictures) == 8
    for picture in pictures:
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_the_report_does_not_change_with_what_was_reported_before(folder, page, tmp_path):
    assert report(folder, tmp_path / "again.HTML", "--prompt", NASTY).exit_code == 0
    assert (tmp_path / "again.HTML").read_text() == page.read_text()


def test_what_is_absent_is_said(folder, tmp_path):
    root = tmp_path / "training" / "lm"
    shutil.copytree(folder / "lm", root)
    (root / FILE_NAME).unlink()
    config = root / "model-best" / "config.cfg"
    config.write_text(re.sub(r'dev = ".*"', 'dev = "gone.spacy"', config.read_text()))
    done = report(tmp_path / "training", tmp_path / "out.html")
    assert done.exit_code == 0, done.output
    found = re.findall(r'<p class="absent">(.*?)</p>', (tmp_path / "out.html").read_text())
    for words in ("no scores", "no log", "has a translator", "can&#x27;t be read", "tell times"):
        assert any(words in text for text in found), (words, found)


def test_what_can_not_be_read_is_named(folder, tmp_path):
    shutil.copytree(folder.parent, tmp_path / "all")
    shutil.rmtree(tmp_path / "all" / "training" / "lm")
    (tmp_path / "all" / "metrics" / "lm.json").write_text("[1]")
    (tmp_path / "all" / "training" / "seq" / FILE_NAME).write_text("nonsense\n{}\n")
    (tmp_path / "all" / "training" / "seq-plain" / "model-best" / "config.cfg").write_text("[a")
    done = report(tmp_path / "all" / "training", tmp_path / "out.html")
    shown = " ".join(done.output.split())
    assert done.exit_code == 0, shown
    assert "lm.json" in shown
    assert "line 1 is not JSON" in shown
    assert "seq-plain" in shown


def test_a_broken_training_leaves_the_others_in_the_report(folder, tmp_path):
    shutil.copytree(folder.parent, tmp_path / "all")
    shutil.copytree(folder / "seq", tmp_path / "all" / "training" / "a-broken")
    (tmp_path / "all" / "training" / "a-broken" / "model-best" / "translator" / "model").unlink()
    done = report(tmp_path / "all" / "training", tmp_path / "out.md")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out.md").read_text()
    assert "can't be translated by a-broken" in text and "There is nothing to show" in text
    for part in ("le chat noir", "BLEU by the length", "Where seq looks", "| seq-plain"):
        assert part in text, part


def test_folders_that_can_not_be_read_are_named(folder, tmp_path, monkeypatch):
    """As for a user without the right to; root reads everything."""
    shutil.copytree(folder.parent, tmp_path / "all")
    locked = tmp_path / "all" / "training" / "locked"
    (locked / "model-best").mkdir(parents=True)
    is_dir, iterdir = Path.is_dir, Path.iterdir

    def deny(path, method):
        if path.parent == locked or (path.name == "metrics" and method is iterdir):
            raise PermissionError(13, "Permission denied", str(path))
        return method(path)

    monkeypatch.setattr(Path, "is_dir", lambda path: deny(path, is_dir))
    monkeypatch.setattr(Path, "iterdir", lambda path: deny(path, iterdir))
    found = Inputs(tmp_path / "all" / "training", tmp_path / "all" / "metrics")
    assert len(found.runs) == 5 and not found.metrics
    assert len(found.problems) == 2
    assert "locked" in found.problems[0] and "metrics" in found.problems[1]


@pytest.mark.parametrize(
    "arguments,message",
    [(["empty", "out.html"], "no pipeline"), (["lm", "out.pdf"], "must end in .html or .md")],
)
def test_what_can_not_be_reported(folder, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    source = tmp_path / "empty" if arguments[0] == "empty" else folder / arguments[0]
    done = report(source, tmp_path / arguments[1])
    assert done.exit_code == 1
    assert message in " ".join(done.output.split())


@pytest.mark.parametrize(
    "file,content",
    [
        ("lm/training.jsonl", '{"step": 1, "losses": {}, "score": 1}\n{}\n'),
        (
            "lm/training.jsonl",
            '{"step": 1, "losses": {}, "score": 1, "best": 1, "speed": "x"}\n{}\n',
        ),
        ("lm/training.jsonl", '{"step": 1, "losses": {}, "score": 1, "best": 1, "scores": [1]}\n'),
        (
            "lm/training.jsonl",
            '{"step": 1, "losses": {}, "score": 1, "best": 1, "scores": {"char_probability": "x"}}',
        ),
        ("lm/model-best/config.cfg", ""),
        ("lm/model-best/config.cfg", "[nlp]\nlang = null\n[training]\n"),
        ("lm/model-best/meta.json", "[]"),
        ("../metrics/seq.json", '{"translator": {"bleu_by_length": {"1": [2]}}}'),
        ("../metrics/seq.json", '{"translator": {"bleu_by_length": [1]}}'),
        ("../metrics/seq.json", '{"translator": {"bleu_by_length": {"1": {"bleu": null}}}}'),
    ],
)
def test_odd_inputs_leave_the_rest_of_the_report_as_it_is(folder, tmp_path, file, content):
    shutil.copytree(folder.parent, tmp_path / "all")
    (tmp_path / "all" / "training" / file).write_text(content)
    done = report(tmp_path / "all" / "training", tmp_path / "out.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out.html").read_text()
    assert page.count("<section") == len(SECTIONS) and page.count("<svg") > 5
    assert "The part 'Summary'" not in page


def test_names_are_no_formulas(folder, tmp_path):
    shutil.copytree(folder.parent, tmp_path / "all")
    odd = r"_$\frac{$a$$b"
    shutil.copytree(folder / "seq", tmp_path / "all" / "training" / odd)
    shutil.copy(folder.parent / "metrics/seq.json", tmp_path / f"all/metrics/{odd}.json")
    log = tmp_path / "all" / "training" / odd / FILE_NAME
    text = log.read_text().replace('"losses": {"', '"losses": {"$$')
    assert "$$" in text and '"scores": ["bleu"]' in text
    log.write_text(text.replace('"scores": ["bleu"]', '"scores": ["$\\\\frac{$"]'))
    for name in ("out.html", "out.md"):
        done = report(tmp_path / "all" / "training", tmp_path / name)
        assert done.exit_code == 0, done.output
        page = (tmp_path / name).read_text()
        assert "can't be" not in html.unescape(page)
        assert page.count(html.escape(odd) if name == "out.html" else "frac") > 3


@pytest.mark.parametrize("ending", ["html", "md"])
def test_a_figure_that_can_not_be_drawn_leaves_the_others(folder, tmp_path, monkeypatch, ending):
    draw = samples._draw

    def broken(symbols, weights):
        figure = draw(symbols, weights)
        figure.axes[0].set_title("$$")
        return figure

    monkeypatch.setattr(samples, "_draw", broken)
    done = report(folder, tmp_path / f"out.{ending}")
    assert done.exit_code == 0, done.output
    page = html.unescape((tmp_path / f"out.{ending}").read_text())
    assert "This can't be drawn: " in page.replace("\\", "")
    assert page.count("<svg" if ending == "html" else ".png") >= 4


def test_all_names_are_in_the_legend():
    names = ["translator-en-de", "translator_plain-en-de", "translator_transformer-en-de", "_own"]
    scores = {"6-10": {"bleu": 0.5, "sentences": 2}}
    figure = translations._draw(["6-10"], dict.fromkeys(names, scores))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text().strip() for text in legend.get_texts()] == names
    box, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0


def test_huge_figures_are_short(folder, tmp_path):
    shutil.copytree(folder.parent, tmp_path / "all")
    log = tmp_path / "all" / "training" / "lm" / FILE_NAME
    log.write_text(re.sub(r'"(score|best)": [\d.]+', r'"\1": 1e308', log.read_text()))
    done = report(tmp_path / "all" / "training", tmp_path / "out.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out.html").read_text()
    assert "1e+308" in page and "0" * 40 not in page
    assert "can't be" not in html.unescape(page)


def test_a_single_training_finds_its_scores(folder, tmp_path, monkeypatch):
    """Beside the folder of trainings, also from inside of it."""
    expected = Inputs(folder, folder.parent / "metrics").metrics
    assert expected
    monkeypatch.chdir(folder / "lm")
    for place in (folder / "lm", Path("."), folder):
        made = make_report(place, tmp_path / "out.md")
        assert made.metrics == expected


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_browser() is None:
        pytest.skip("needs Chromium, as in Debian's package chromium")
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it(page, browser, width, dark):
    browser.open(page.as_uri(), width, dark=dark)
    assert browser.errors() == []
    # Pictures are in the page itself.
    assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()]
    seen = browser.evaluate(LOOK)
    assert seen["inner"] == width
    assert seen["scroll"] <= width
    assert seen["outside"] == []
    assert len(seen["figures"]) == 10
    assert all(seen["figures"])
    assert all(len(label) > 20 for label in [*seen["labels"], *seen["tables"]])
    assert len(seen["tables"]) == 2
    assert len(seen["images"]) > 12
    assert all(text and shown for text, shown in seen["images"])
    assert sum(": it looked at the " in text for text, _ in seen["images"]) >= 3
    assert browser.evaluate(CONTRAST) >= 4.5
    folder = Path(os.environ.get("SCREENSHOTS", page.parent))
    folder.mkdir(parents=True, exist_ok=True)
    shot = folder / f"report-{width}-{'dark' if dark else 'light'}.png"
    browser.screenshot(shot)
    assert shot.stat().st_size > 20_000


def test_it_prints_on_white(page, browser):
    browser.open(page.as_uri(), 1280, dark=True)
    browser.call("Emulation.setEmulatedMedia", media="print", features=[])
    colours = browser.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('nav')).display]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)", "none"]
    printed = browser.call("Page.printToPDF", printBackground=True)["data"]
    assert len(printed) > 20_000
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def test_the_browser_would_tell(browser, tmp_path):
    """The checks above can fail."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<body style="margin:0"><p style="width:2000px;color:#999">wide</p><script>oops()</script>'
        '<img alt="" src="data:image/png;base64,AAAA">'
    )
    browser.open(bad.as_uri(), 390)
    assert browser.errors()
    assert browser.evaluate(LOOK)["outside"]
    assert browser.evaluate(LOOK)["images"] == [["", False]]
    assert browser.evaluate(CONTRAST) < 4.5


def test_next_symbols_are_those_of_the_next_step():
    nlp = make_nlp(steps=60)
    pipe = nlp.get_pipe("text_generator")
    symbols, probabilities = pipe.next_symbols(nlp.make_doc("To b"))
    assert symbols[probabilities.argmax()] == "e"
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    longer = nlp("To be")
    bits = longer._.surprisal - nlp("To b")._.surprisal
    assert -bits == pytest.approx(math.log2(probabilities.max()), abs=1e-3)
    assert pipe.next_symbols(nlp.make_doc(""))[1].shape == (len(symbols),)
