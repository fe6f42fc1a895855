"""Pictures with their captions, and where the captioner looked."""

from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc

from ..captions import get_caption_texts
from ..visualize.captions import render_caption, render_sheet
from .blocks import Block, Heading, Marked, Text
from .inputs import Inputs, Run

TITLE = "Captions"
_SHEET = 12
_MAPS = 2


def build(inputs: Inputs) -> list[Block]:
    found = inputs.with_component("image_captioner")
    if not found:
        return [Text("No pipeline here has an image_captioner.", absent=True)]
    blocks: list[Block] = []
    for run, name in found:
        blocks.append(Heading(run.name))
        try:
            blocks += _caption(run, name)
        except (ValueError, OSError) as error:
            blocks.append(Text(f"The pictures can't be captioned: {error}", absent=True))
    return blocks


def _caption(run: Run, name: str) -> list[Block]:
    pipe: Any = run.nlp.get_pipe(name)
    examples = run.dev_examples(_SHEET)
    if not examples:
        return [Text("There are no pictures in the development data.", absent=True)]
    blocks: list[Block] = []

    def skip(name: str, pipe: Any, docs: Sequence[Doc], error: Exception) -> None:
        blocks.append(Text(f"Left out: {error}", absent=True))

    pairs = ((example.predicted, get_caption_texts(example.reference)) for example in examples)
    kept, handler = pipe.attention, run.nlp.default_error_handler
    pipe.attention = True
    run.nlp.set_error_handler(skip)  # type: ignore[arg-type]
    try:
        rows = list(run.nlp.pipe(pairs, as_tuples=True))
    finally:
        pipe.attention = kept
        run.nlp.set_error_handler(handler)
    if not rows:
        return blocks
    sheet = "; ".join(f"{doc.text}: {doc._.caption} ({' / '.join(gold)})" for doc, gold in rows)
    blocks.append(Text(f"The first {len(rows)} pictures of the development data:"))
    blocks.append(Marked(render_sheet(rows), sheet))
    if run.config["components"][name]["model"].get("attention") == "none":
        return [*blocks, Text("It has no attention: it sees the picture as a whole.")]
    guided = run.config["components"][name]["model"].get("guided_attention")
    note = " It was taught where to look for words that name things, and for these only."
    blocks.append(
        Text("The brighter a part, the more it looked there for the word." + note * bool(guided))
    )
    for doc, _ in rows[:_MAPS]:
        blocks.append(Marked(render_caption(doc, side=120), f"{doc.text}: {doc._.caption}"))
    return blocks
