import numpy as np
import pytest
import spacy
from PIL import Image

from spacy_seqgen.captions import Caption, set_captions
from spacy_seqgen.outputs import install_extensions
from spacy_seqgen.visualize import render, save_caption
from spacy_seqgen.visualize.captions import _name_place, draw_caption, overlay, render_sheet


def make_doc(attention=True, image=None):
    install_extensions()
    doc = spacy.blank("en").make_doc("<i>.png")
    doc._.image = Image.new("RGB", (40, 20), (200, 100, 50)) if image is None else image
    weights = np.zeros((2, 2, 2), dtype=np.float16)
    weights[0, 0, 1] = weights[1, 1, 0] = 1
    found = Caption("a <b>", ("a", "<b>"), attention=weights if attention else None)
    set_captions(doc, [found])
    return doc


def test_bright_where_it_looked():
    image = Image.new("RGB", (20, 20), (200, 100, 50))
    shown = np.asarray(overlay(image, np.array([[0.0, 0.8], [0.0, 0.2]])))
    assert tuple(shown[0, 19]) == (200, 100, 50)
    assert tuple(shown[0, 0]) == (50, 25, 12)
    assert shown[19, 19, 0] in range(51, 150)


def test_a_picture_for_each_word():
    page = render(make_doc(), style="caption", page=True, jupyter=False)
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<img ") == 3
    assert "&lt;b&gt;" in page and "<b>" not in page and "<i>" not in page
    assert "<script" not in page
    assert 'alt="a: it looked at the top right"' in page
    assert 'alt="&lt;b&gt;: it looked at the bottom left"' in page


@pytest.mark.parametrize(
    "weights,expected",
    [([[1, 1], [1, 1]], "middle"), ([[0, 0, 0], [0, 1, 0], [0, 1, 0]], "bottom"),
     ([[0, 0, 1]], "right"), ([[0.0]], "top left"), ([[1e-7]], "middle")],
)  # fmt: skip
def test_places_have_names(weights, expected):
    assert _name_place(np.array(weights, dtype=np.float16)) == expected


def test_figure(tmp_path):
    figure = draw_caption(make_doc())
    assert [axes.get_title() for axes in figure.axes] == ["", "a", "<b>"]
    save_caption(make_doc(), tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()


def test_right_and_wrong_are_marked():
    sheet = render_sheet([(make_doc(), ["A <b>"]), (make_doc(), ["other"]), (make_doc(), [])])
    assert "1 of 2 captions are right (50.0%)" in sheet
    assert sheet.count('class="right"') == sheet.count('class="wrong"') == 1
    assert "&lt;i&gt;.png" in sheet and "<i>" not in sheet


def test_no_attention():
    with pytest.raises(ValueError, match="no caption with attention"):
        render(make_doc(attention=False), style="caption", jupyter=False)
    with pytest.raises(ValueError, match="style must be"):
        render(make_doc(), style="other", jupyter=False)
