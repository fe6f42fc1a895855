"""A picture with its caption, and where the decoder looked for each word (Xu et al. 2015,
figure 3)."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..caption_scores import is_right
from ..captions import Caption, get_captions, get_image, get_seen
from ..pictures import Picture, PictureError, PictureSettings, find_picture
from ..pictures.reading import read_picture
from .labels import printable

_DARK = 0.25  # how much of the light is left where the decoder did not look

STYLE = """
.seqgen-captions {font-family: system-ui, sans-serif; font-size: 14px; margin: 1em 0}
.seqgen-captions > div {display: flex; flex-wrap: wrap; gap: 8px}
.seqgen-captions figure {margin: 0; text-align: center}
.seqgen-captions img {display: block; border-radius: 3px}
.seqgen-captions p {margin: .3em 0}
.seqgen-captions .right {color: #1e7a32; color: light-dark(#1b6b2c, #7fd18f)}
.seqgen-captions .wrong {color: #c0392b; color: light-dark(#a32a1c, #f2a194)}
.seqgen-captions .right::before {content: "✓ "}
.seqgen-captions .wrong::before {content: "✗ "}
"""


def show_picture(doc: Doc, side: int) -> Any:
    """The picture of a Doc as the model saw it: cut or filled up to a square.

    side (int): Its height and width, in pixels.
    RETURNS (PIL.Image.Image): In mode "RGB".
    RAISES (PictureError): If it can't be read.
    """
    seen, image = get_seen(doc), get_image(doc)
    path = seen.pop("path")
    if image is not None and not isinstance(image, str):
        picture = Picture(f"The picture of the Doc {doc.text[:60]!r}", image)
    else:
        picture = find_picture(path or image or doc.text)
    settings = PictureSettings(size=side, **seen)
    return settings.to_size(read_picture(picture, settings.max_pixels))


def overlay(image: Any, weights: np.ndarray) -> Any:
    """A picture, dark where the decoder did not look.

    image (PIL.Image.Image): In mode "RGB".
    weights (np.ndarray): Shape (rows, columns): the brightest is where it looked most.
    """
    from PIL import Image

    values = weights.astype(np.float32)
    values /= max(float(values.max(initial=0)), 1e-9)
    grid = Image.fromarray((values * 255).astype(np.uint8))
    light = np.asarray(grid.resize(image.size, Image.Resampling.BICUBIC), dtype=np.float32) / 255
    shown = np.asarray(image, dtype=np.float32) * (_DARK + (1 - _DARK) * light[:, :, None])
    return Image.fromarray(shown.round().astype(np.uint8))


def render_caption(doc: Doc, *, side: int = 160) -> str:
    """The picture, and again for each word of its best caption, as HTML.

    side (int): Height and width of each, in pixels.
    RAISES (ValueError): If there is no caption with attention; says how to get it.
    """
    caption = _best(doc)
    image = show_picture(doc, side)
    assert caption.attention is not None
    parts = [_figure(image, caption.text)]
    for token, weights in zip(caption.tokens, caption.attention, strict=True):
        where = f"{token}: it looked at the {_name_place(weights)}"
        parts.append(_figure(overlay(image, weights), token, where))
    return f'<div class="seqgen-captions"><div>{"".join(parts)}</div></div>'


def render_sheet(rows: list[tuple[Doc, list[str]]], *, side: int = 96) -> str:
    """A contact sheet: pictures with their captions, green if right and red if wrong. Where
    a picture can't be read any more, it says so.

    rows (list[tuple[Doc, list[str]]]): Docs and their true captions; where there are none,
        nobody can tell.
    side (int): Height and width of each picture, in pixels.
    """
    parts = []
    for doc, gold in rows:
        text = doc._.caption or ""
        mark, note = "", ""
        if gold:
            mark = "right" if is_right(text, gold) else "wrong"
            note = "" if mark == "right" else f"<br><small>{html.escape(gold[0])}</small>"
        title = html.escape(doc.text)
        try:
            source = _source(show_picture(doc, side))
            shown = f'<img alt="{title}" title="{title}" style="margin: auto" src="{source}">'
        except PictureError as error:  # gone since it was captioned
            shown = f'<small title="{title}">{html.escape(str(error))}</small>'
        label = f'<span class="{mark}">{html.escape(text)}</span>{note}'
        parts.append(
            f'<figure style="width: {max(side, 120)}px">{shown}'
            f"<figcaption>{label}</figcaption></figure>"
        )
    known = [(doc, gold) for doc, gold in rows if gold]
    head = ""
    if known:
        right = sum(is_right(doc._.caption or "", gold) for doc, gold in known)
        head = f"<p>{right} of {len(known)} captions are right ({right / len(known):.1%}).</p>"
    return f'<div class="seqgen-captions">{head}<div>{"".join(parts)}</div></div>'


def draw_caption(doc: Doc) -> Any:
    """The picture, and again for each word, as a figure.

    RETURNS (matplotlib.figure.Figure): The figure.
    RAISES (ValueError): If there is no caption with attention.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Figures need matplotlib: pip install matplotlib") from error
    caption = _best(doc)
    assert caption.attention is not None
    image = show_picture(doc, 256)
    shown = [("", image)]
    pairs = zip(caption.tokens, caption.attention, strict=True)
    shown += [(token, overlay(image, weights)) for token, weights in pairs]
    columns = min(5, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(2 * columns, 2.3 * rows), layout="constrained")
    for place, (title, picture) in enumerate(shown, 1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(np.asarray(picture))
        axes.set_title(printable(title), parse_math=False)
        axes.set_axis_off()
    return figure


def save_caption(doc: Doc, path: str | Path) -> None:
    """Write that figure to a file, whose kind its ending tells: .png, .pdf or .svg."""
    draw_caption(doc).savefig(path, bbox_inches="tight")


def _best(doc: Doc) -> Caption:
    for caption in get_captions(doc):
        if caption.attention is not None:
            return caption
    raise ValueError(
        f"There is no caption with attention in this Doc: {doc.text[:60]!r}. The pipeline needs an "
        'image_captioner with attention (not "none") and the setting attention = true'
    )


def _name_place(weights: np.ndarray) -> str:
    """Where in the picture the middle of some weights, shape (rows, columns), is, in words."""
    total = max(float(weights.sum(dtype=np.float64)), 1e-9)
    words = []
    for axis, names in ((0, ("top", "", "bottom")), (1, ("left", "", "right"))):
        shares = weights.sum(1 - axis, dtype=np.float64) / total
        middle = float(shares @ (np.arange(len(shares)) + 0.5)) / len(shares)
        words.append(names[min(int(middle * 3), 2)])
    return " ".join(filter(None, words)) or "middle"


def _figure(image: Any, label: str, description: str = "") -> str:
    """
    description (str): What is to be seen, for those who can't; by default the label.
    """
    alternative = html.escape(description or label)
    return (
        f'<figure style="width: {image.width}px"><img alt="{alternative}" src="{_source(image)}">'
        f"<figcaption>{html.escape(label)}</figcaption></figure>"
    )


def _source(image: Any) -> str:
    data = io.BytesIO()
    image.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
