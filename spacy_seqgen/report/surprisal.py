"""Text in the colours of its surprisal."""

import html
from typing import Any

from ..outputs import SURPRISAL
from .blocks import Block, Heading, Marked, Table, Text
from .inputs import Inputs, Run

TITLE = "Surprisal"
_LENGTH = 600
_MOST = 6
_BITS = 8.0  # and more: the darkest colour
_DARKEST = 0.45  # leaves the text enough contrast, on light and on dark


def build(inputs: Inputs) -> list[Block]:
    found = inputs.with_component("text_generator")
    if not found:
        return [Text("No pipeline here has a text_generator.", absent=True)]
    blocks: list[Block] = [
        Text(
            "The beginning of the text that each model was evaluated on. The darker a character, "
            "the less the model expected it; its surprisal in bits is shown when the pointer "
            "rests on it."
        )
    ]
    for run, name in found:
        blocks.append(Heading(run.name))
        try:
            blocks += _read(run, name)
        except (ValueError, OSError) as error:
            blocks.append(Text(f"The text can't be read: {error}", absent=True))
    return blocks


def _read(run: Run, name: str) -> list[Block]:
    pipe: Any = run.nlp.get_pipe(name)
    text = "".join(eg.reference.text for eg in run.dev_examples(4))[:_LENGTH]
    if not text:
        return [Text("There is no text to evaluate on.", absent=True)]
    doc = run.nlp.make_doc(text)
    kept = pipe.generate_text, pipe.score_text
    pipe.generate_text, pipe.score_text = False, True
    try:
        pipe.set_annotations([doc], pipe.predict([doc]))
    finally:
        pipe.generate_text, pipe.score_text = kept
    tokens = sorted(doc, key=lambda token: -token._.surprisal)[:_MOST]
    rows = [(repr(token.text)[1:-1], token._.surprisal) for token in tokens]
    summary = f"{doc._.bits_per_char:.2f} bits per character in these {len(text)}."
    return [
        Marked(_colour(text, doc.user_data[SURPRISAL]), text),
        Text(summary + " The most surprising tokens:"),
        Table(["token", "bits"], rows),
    ]


def _colour(text: str, bits: Any) -> str:
    parts = []
    for character, value in zip(text, bits.tolist(), strict=True):
        shade = _DARKEST * min(value / _BITS, 1.0)
        parts.append(
            f'<span style="background: rgba(214, 90, 30, {shade:.2f})" title="{value:.1f} bits">'
            f"{html.escape(character)}</span>"
        )
    key = " ".join(
        f'<span style="background: rgba(214, 90, 30, {_DARKEST * b / _BITS:.2f})">'
        f"&nbsp;{b:g}{'+' if b == _BITS else ''}&nbsp;</span>"
        for b in (0.0, 2.0, 4.0, _BITS)
    )
    return (
        f'<div class="sample">{"".join(parts)}</div><p class="text">Bits for a character: {key}</p>'
    )
