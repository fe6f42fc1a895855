import numpy as np
import pytest
import spacy

from spacy_seqgen import visualize


def test_tokens_are_coloured():
    doc = spacy.blank("en")("a <bad> film")
    doc.cats = {"neg & co": 0.75}
    doc._.cats_attribution = {"neg & co": np.array([0.0, 1.0, 4.0, -2.0, -0.5], dtype=np.float32)}
    page = visualize.render(doc, style="cats", page=True, jupyter=False)
    assert "<title>Classes</title>" in page
    assert "<b>neg &amp; co</b> 0.750" in page
    assert "rgba(214, 90, 30, 0.450)" in page and "rgba(30, 110, 214, 0.225)" in page
    assert "&lt;" in page and "<bad>" not in page


def test_nothing_to_show():
    with pytest.raises(ValueError, match="needs a component cats_explainer"):
        visualize.render(spacy.blank("en")("a"), style="cats", jupyter=False)
    with pytest.raises(ValueError, match="style must be"):
        visualize.render(spacy.blank("en")("a"), style="other", jupyter=False)
