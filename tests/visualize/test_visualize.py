import re
import threading
import urllib.request
import xml.dom.minidom
from html.parser import HTMLParser

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_seqgen.outputs import install_extensions
from spacy_seqgen.translations import Translation, set_translations
from spacy_seqgen.visualize import (
    draw_figure,
    get_attention_maps,
    render,
    save_figure,
    serve,
)

WEIGHTS = np.array([[0.9, 0.1], [0.25, 0.75], [0.0, 0.5]], dtype=np.float16)


class Cells(HTMLParser):
    """Collects the titles of the cells, and the texts."""

    def __init__(self):
        super().__init__()
        self.titles, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        assert tag != "script"
        if tag == "td":
            self.titles.append(dict(attrs)["title"])

    def handle_data(self, data):
        self.texts.append(data)


def parse(text):
    cells = Cells()
    cells.feed(text)
    return cells


@pytest.fixture
def doc():
    install_extensions()
    doc = Doc(spacy.blank("en").vocab, words=["black", "<cat>"])
    best = Translation("chat & noir", ("chat", "&", "noir"), -1.0, (), "end", ((0, WEIGHTS),))
    other = Translation("<script>", ("<", "script", ">"), -2.0, (), "end", ((0, WEIGHTS),))
    set_translations(doc, [best, other])
    return doc


def test_html_has_every_weight_and_escapes_every_text(doc):
    cells = parse(render(doc, jupyter=False))
    assert cells.titles[:2] == ["chat \u2190 black: 0.900", "chat \u2190 <cat>: 0.100"]
    assert len(cells.titles) == 12
    assert {"<cat>", "&", "noir", "<script>", "chat & noir"} <= set(cells.texts)


def test_pages_stand_alone(doc):
    page = render([doc, doc], page=True, jupyter=False)
    assert page.startswith("<!DOCTYPE html>")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) == 4
    assert page.count("checked>") == 2
    assert "http" not in page


def test_jupyter(doc, monkeypatch):
    shown = []
    display = type("display", (), {"HTML": str, "display": shown.append})
    monkeypatch.setitem(__import__("sys").modules, "IPython.display", display)
    assert render(doc, jupyter=True) is None
    assert "<table aria-label=" in shown[0]


def test_served_pages(doc, capsys):
    started, servers = threading.Event(), []

    from spacy_seqgen.visualize import html

    class Server(html.HTTPServer):
        def serve_forever(self):
            servers.append(self)
            started.set()
            self.handle_request()

    original, html.HTTPServer = html.HTTPServer, Server
    try:
        thread = threading.Thread(target=serve, args=(doc,), kwargs={"port": 0})
        thread.start()
        assert started.wait(10)
        url = f"http://127.0.0.1:{servers[0].server_port}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert "<table aria-label=" in answer.read().decode("utf8")
        thread.join(10)
    finally:
        html.HTTPServer = original
    assert "Serving attention on" in capsys.readouterr().out


def test_figures(doc, tmp_path):
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    axes = draw_figure(doc).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), WEIGHTS.astype(np.float32))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["chat", "&", "noir"]
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        save_figure(doc, tmp_path / f"a.{kind}", number=1)
        assert (tmp_path / f"a.{kind}").read_bytes().startswith(start)
    with pytest.raises(ValueError, match="number must be from 0 to 1, got 2"):
        draw_figure(doc, number=2)


def test_no_attention(doc):
    set_translations(doc, [Translation("chat")])
    with pytest.raises(ValueError, match="attention = true"):
        get_attention_maps(doc)


def test_an_empty_translation(doc):
    set_translations(doc, [Translation("", (), -1.0, (), "end", ())])
    with pytest.raises(ValueError, match="The translation of 'black <cat> ' is empty"):
        get_attention_maps(doc)


def test_styles(doc):
    with pytest.raises(ValueError, match="style must be one of"):
        render(doc, style="dep")


def test_long_docs_have_a_table_for_each_sentence():
    words = ["x"] * 3000
    doc = Doc(spacy.blank("en").vocab, words=words)
    blocks = tuple((first, np.ones((2, 3), np.float16) / 3) for first in range(0, 3000, 3))
    set_translations(doc, [Translation("y " * 2000, ("y",) * 2000, -1.0, (), "end", blocks)])
    page = render(doc, jupyter=False)
    assert page.count("<table aria-label=") == 1000
    assert page.count("<td ") == 6000
    assert page.count("<input") == 1
    with pytest.raises(ValueError, match="room for 200 tokens, and here are 3000"):
        draw_figure(doc)


@pytest.mark.parametrize(
    "tokens",
    [("$\\frac$", "a$x^$b", "noir"), ("\x07", "\x1b[31m", "noir")],
    ids=["dollars", "control"],
)
def test_figures_of_strange_tokens(doc, tmp_path, tokens):
    """Dollars are no formulas, and SVG may hold no control characters."""
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    set_translations(doc, [Translation("x", tokens, -1.0, (), "end", ((0, WEIGHTS),))])
    for kind in ("png", "svg"):
        save_figure(doc, tmp_path / f"a.{kind}")
        assert (tmp_path / f"a.{kind}").stat().st_size > 1000
    xml.dom.minidom.parse(str(tmp_path / "a.svg"))
