"""Attention as HTML, in the manner of displaCy."""

import html
import uuid
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer

from spacy.tokens import Doc
from spacy.util import is_in_jupyter

from .attention import AttentionMap, get_attention_parts, is_blank
from .captions import STYLE as CAPTION_STYLE
from .captions import render_caption
from .coloured import render_attribution

# Colours with alpha, and the reader's own for text: right on light and on dark.
STYLE = """
.seqgen {font-family: system-ui, sans-serif; font-size: 14px; overflow-x: auto; margin: 1em 0}
.seqgen table {border-collapse: collapse; background: none}
.seqgen table + table {margin-top: 1em}
.seqgen th {font-weight: normal; padding: 2px 6px; color: inherit; background: none}
.seqgen thead th {writing-mode: vertical-rl; transform: rotate(180deg); text-align: left}
.seqgen tbody th {text-align: right; white-space: nowrap}
.seqgen td {width: 26px; height: 26px; padding: 0; border: 1px solid rgba(128, 128, 128, .25)}
.seqgen input {position: absolute; opacity: 0}
.seqgen label {display: block; padding: 2px 6px; cursor: pointer}
.seqgen label:hover {text-decoration: underline}
.seqgen figure {display: none; margin: .5em 0}
.seqgen input:checked + label {font-weight: bold}
.seqgen input:checked + label + figure {display: block}
.seqgen input:focus-visible + label {outline: 1px solid currentColor}
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body style="margin: 2em">
{content}
</body>
</html>
"""


def render(
    docs: Doc | Iterable[Doc],
    style: str = "attention",
    *,
    page: bool = False,
    jupyter: bool | None = None,
) -> str | None:
    """Show where a model looked, or what a classifier went by.

    "attention": a table with the source across and the translation down, the darker the
    more; the weight is shown when the pointer rests on it. Where there are several
    translations, a click chooses. "caption": the picture once for each word, the brighter
    the more. "cats": the text, with tokens that speak for a class in orange and those that
    speak against it in blue, for each class that was explained.

    docs (Doc | Iterable[Doc]): What was translated, captioned or classified. Of several, those
        without words, or with an empty translation, have no attention and are passed over.
    style (str): "attention", "caption" or "cats".
    page (bool): Make a page that can be saved as a file.
    jupyter (bool | None): Show it in the notebook; None does so if this is one.
    RETURNS (str | None): HTML, unless it was shown.
    RAISES (ValueError): If a Doc has nothing of the kind.
    """
    if style not in _STYLES:
        raise ValueError(f"style must be one of {list(_STYLES)}, got {style!r}")
    docs = [docs] if isinstance(docs, Doc) else [doc for doc in docs if not is_blank(doc)]
    sheet, title, render_doc = _STYLES[style]
    content = with_style(sheet, map(render_doc, docs), title if page else None)
    if jupyter or (jupyter is None and is_in_jupyter()):
        from IPython.display import HTML, display

        display(HTML(content))
        return None
    return content


def with_style(style: str, parts: Iterable[str], title: str | None = None) -> str:
    """Pieces of HTML with a style sheet, or as a page with a title."""
    content = "\n".join([f"<style>{style}</style>", *parts])
    return content if title is None else _PAGE.format(content=content, title=html.escape(title))


def serve(
    docs: Doc | Iterable[Doc],
    style: str = "attention",
    *,
    port: int = 5000,
    host: str = "127.0.0.1",
) -> None:
    """Show the same on a local web page, until Ctrl-C.

    port (int), host (str): Where.
    """
    content = (render(docs, style, page=True, jupyter=False) or "").encode("utf8")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer((host, port), Handler) as server:
        print(f"Serving attention on http://{host}:{server.server_port} ... (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Shut down.")


def _render_maps(doc: Doc) -> str:
    group = f"seqgen-{uuid.uuid4().hex[:12]}"  # a notebook may hold those of many sessions
    parts = []
    for number, sentences in enumerate(get_attention_parts(doc)):
        checked = " checked" if number == 0 else ""
        parts.append(
            f'<input type="radio" name="{group}" id="{group}-{number}"{checked}>'
            f'<label for="{group}-{number}">{html.escape(sentences[0].title)}</label>'
            f"<figure>{''.join(map(render_table, sentences))}</figure>"
        )
    return f'<div class="seqgen">{"".join(parts)}</div>'


def render_table(item: AttentionMap) -> str:
    """The table alone, to be put into a page that has `STYLE`, inside of class "seqgen"."""
    source = [html.escape(token) for token in item.source]
    label = html.escape(describe_map(item))
    head = "".join(f"<th>{token}</th>" for token in source)
    rows = []
    for token, weights in zip(map(html.escape, item.target), item.weights, strict=True):
        cells = "".join(
            f'<td style="background: rgba(214, 90, 30, {weight:.3f})" '
            f'title="{token} &larr; {other}: {weight:.3f}"></td>'
            for other, weight in zip(source, weights.tolist(), strict=True)
        )
        rows.append(f"<tr><th>{token}</th>{cells}</tr>")
    return (
        f'<table aria-label="{label}"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def describe_map(item: AttentionMap) -> str:
    """Where each token of a translation looked most, in words."""
    looked = (
        f"{word} at {item.source[int(row.argmax())]}"
        for word, row in zip(item.target, item.weights, strict=True)
        if len(row)
    )
    return f"{item.title}: {', '.join(looked)}"


# Style sheet, title of a page, and what shows a Doc.
_STYLES = {
    "attention": (STYLE, "Attention", _render_maps),
    "caption": (CAPTION_STYLE, "Captions", render_caption),
    "cats": (STYLE, "Classes", render_attribution),
}
