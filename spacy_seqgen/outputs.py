"""What the components write on a Doc, and how a user reads it.

Results are kept in `doc.user_data` as plain lists, dicts, strings and arrays, so that
they survive `DocBin(store_user_data=True)`, `doc.to_bytes`, pickling and
`nlp.pipe(n_process=2)`. The extension attributes turn them into typed objects.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.tokens import Doc, Span, Token

from .attribution import get_attribution, set_attribution
from .captions import (
    get_caption,
    get_captions,
    get_image,
    set_caption,
    set_captions,
    set_image,
)
from .translations import (
    get_prefix,
    get_translation,
    get_translations,
    set_prefix,
    set_translation,
    set_translations,
)

CONTINUATIONS = "spacy_seqgen.continuations"
SURPRISAL = "spacy_seqgen.surprisal"
ACCURACY = "spacy_seqgen.accuracy"


@dataclass(frozen=True)
class Continuation:
    """A text that a language model wrote after a prompt.

    text (str): The new text, without the prompt.
    log_prob (float): Natural logarithm of the probability that the model gives to all
        the new symbols, at temperature 1 and without any of the restrictions under
        which they were chosen. Includes the end of the text or the stop string if one
        was reached.
    finish_reason (str): "end" (the model ended the text), "stop" (a stop string was
        met), or "length" (`max_length` was reached).
    """

    text: str
    log_prob: float
    finish_reason: str


def set_continuations(doc: Doc, continuations: Sequence[Continuation]) -> None:
    doc.user_data[CONTINUATIONS] = [{**vars(item)} for item in continuations]


def get_continuations(doc: Doc) -> list[Continuation]:
    return [Continuation(**item) for item in doc.user_data.get(CONTINUATIONS, ())]


def get_continuation(doc: Doc) -> str | None:
    stored = doc.user_data.get(CONTINUATIONS)
    return stored[0]["text"] if stored else None


def set_surprisal(doc: Doc, bits: np.ndarray) -> None:
    """Store the surprisal of each character of a Doc, shape (len(doc.text),), in bits."""
    doc.user_data[SURPRISAL] = bits.astype(np.float32)


def _length(doc: Doc) -> int:
    """Characters of a Doc. One that was made of a part of another, with its user data, has
    the surprisals of the whole: nothing that could be read."""
    return doc[-1].idx + len(doc[-1].text_with_ws) if len(doc) else 0


def _bits(doc: Doc, start: int = 0, end: int | None = None) -> float | None:
    stored = doc.user_data.get(SURPRISAL)
    if stored is None or len(stored) != _length(doc):
        return None
    return float(np.sum(stored[start:end], dtype=np.float64))


def get_doc_surprisal(doc: Doc) -> float | None:
    return _bits(doc)


def get_span_surprisal(span: Span) -> float | None:
    if not len(span):
        return None if span.doc.user_data.get(SURPRISAL) is None else 0.0
    last = span[-1]
    return _bits(span.doc, span[0].idx, last.idx + len(last.text_with_ws))


def get_token_surprisal(token: Token) -> float | None:
    return _bits(token.doc, token.idx, token.idx + len(token.text_with_ws))


def get_bits_per_char(doc: Doc) -> float | None:
    stored = doc.user_data.get(SURPRISAL)
    if stored is None or not len(stored) or len(stored) != _length(doc):
        return None
    return float(np.mean(stored, dtype=np.float64))


def get_perplexity(doc: Doc) -> float | None:
    bits = get_bits_per_char(doc)
    return None if bits is None else perplexity_of(bits)


def perplexity_of(bits: float) -> float:
    """Perplexity per character, from bits per character."""
    return 2.0**bits if bits < 1000 else math.inf


def install_extensions() -> None:
    """Add the attributes to Doc, Span and Token. Does nothing the second time."""
    for owner, name, options in _EXTENSIONS:
        if not owner.has_extension(name):
            owner.set_extension(name, **options)


_EXTENSIONS: list[tuple[Any, str, dict[str, Any]]] = [
    (Doc, "continuation", {"getter": get_continuation}),
    (Doc, "continuations", {"getter": get_continuations, "setter": set_continuations}),
    (Doc, "surprisal", {"getter": get_doc_surprisal}),
    (Doc, "bits_per_char", {"getter": get_bits_per_char}),
    (Doc, "perplexity", {"getter": get_perplexity}),
    (Doc, "cats_attribution", {"getter": get_attribution, "setter": set_attribution}),
    (Doc, "translation", {"getter": get_translation, "setter": set_translation}),
    (Doc, "translations", {"getter": get_translations, "setter": set_translations}),
    (Doc, "translation_prefix", {"getter": get_prefix, "setter": set_prefix}),
    (Doc, "image", {"getter": get_image, "setter": set_image}),
    (Doc, "caption", {"getter": get_caption, "setter": set_caption}),
    (Doc, "captions", {"getter": get_captions, "setter": set_captions}),
    (Span, "surprisal", {"getter": get_span_surprisal}),
    (Token, "surprisal", {"getter": get_token_surprisal}),
]
