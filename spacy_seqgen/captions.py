"""Captions of a picture: what an `image_captioner` writes, and what it learns from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.tokens import Doc

from .pictures import Picture, PictureError, read_picture
from .pictures.reading import MOST_PIXELS

CAPTIONS = "spacy_seqgen.captions"
IMAGE = "spacy_seqgen.image"
SEEN = "spacy_seqgen.image_seen"
_MARK = "__spacy_seqgen_image__"


@dataclass(frozen=True, eq=False)
class Caption:
    """A text about a picture.

    text (str): The caption.
    tokens (tuple[str, ...]): Its words and marks.
    log_prob (float | None): Natural logarithm of the probability that the model gives to
        it; None for one that was given and not made.
    token_log_probs (tuple[float, ...]): The same for each of `tokens`. The end and what
        stands between tokens make up the rest of `log_prob`.
    finish_reason (str | None): "end" (the model ended the text), "stop" (a stop string was
        met) or "length" (`max_length` was reached); None for one that was given.
    attention (np.ndarray | None): Where the decoder looked: shape (tokens, rows, columns of
        the grid over the picture), float16, each token's adding up to 1; None if it was not
        kept.
    """

    text: str
    tokens: tuple[str, ...] = ()
    log_prob: float | None = None
    token_log_probs: tuple[float, ...] = ()
    finish_reason: str | None = None
    attention: np.ndarray | None = None


_STORED = [item.name for item in fields(Caption)]
_TUPLES = ("tokens", "token_log_probs")


def set_captions(doc: Doc, captions: Sequence[Caption | str]) -> None:
    """Give a Doc captions, the best first; on a reference Doc, several to learn from."""
    if isinstance(captions, str):
        raise ValueError(f"captions must be a list, got {captions!r}: set doc._.caption for one")
    found = [Caption(item) if isinstance(item, str) else item for item in captions]
    doc.user_data[CAPTIONS] = [
        {name: _plain(getattr(item, name)) for name in _STORED} for item in found
    ]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def get_captions(doc: Doc) -> list[Caption]:
    return [
        Caption(**{**item, **{name: tuple(item[name]) for name in _TUPLES}})
        for item in doc.user_data.get(CAPTIONS, ())
    ]


def get_caption_texts(doc: Doc) -> list[str]:
    return [item["text"] for item in doc.user_data.get(CAPTIONS, ())]


def get_true_captions(doc: Doc) -> list[str]:
    """Those of a reference Doc that say anything."""
    return [text for text in get_caption_texts(doc) if text.strip()]


def set_caption(doc: Doc, text: str) -> None:
    set_captions(doc, [text])


def get_caption(doc: Doc) -> str | None:
    stored = doc.user_data.get(CAPTIONS)
    return stored[0]["text"] if stored else None


def set_seen(doc: Doc, path: str | None, fit: str, max_pixels: int) -> None:
    """Note what a captioner looked at, to show it.

    path (str | None): Where the picture is, absolute; None for one in memory.
    fit (str): How it was brought to size.
    max_pixels (int): How large it could be.
    """
    doc.user_data[SEEN] = {"path": path, "fit": fit, "max_pixels": max_pixels}


def get_seen(doc: Doc) -> dict[str, Any]:
    return {"path": None, **doc.user_data.get(SEEN, {})}


class HeldImage:
    """A picture in memory, in the `user_data` of a Doc. Copies of the Doc share it.

    content (Any): Bytes, an array, or a picture of Pillow's; a PictureError instead of one
        that could not be stored.
    """

    def __init__(self, content: Any):
        self.content = content

    def __copy__(self) -> "HeldImage":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "HeldImage":
        return self

    def to_dict(self) -> dict[str, Any]:
        """As plain data. One of Pillow's as the captioner reads it; what is wrong with one that
        can't be read, so that it fails by name when it is captioned, and not here."""
        content = self.content
        if not isinstance(content, bytes | np.ndarray | PictureError):  # of Pillow's
            try:
                picture = Picture("A picture in memory", content)
                content = np.asarray(read_picture(picture, MOST_PIXELS))
            except PictureError as error:
                content = error
        if isinstance(content, PictureError):
            return {_MARK: None, "error": str(content)}
        return {_MARK: content}


@srsly.msgpack_encoders("spacy_seqgen.image")
def encode_image(item: Any, chain: Callable | None = None) -> Any:
    if isinstance(item, HeldImage):
        return item.to_dict()
    return item if chain is None else chain(item)


@srsly.msgpack_decoders("spacy_seqgen.image")
def decode_image(item: Any, chain: Callable | None = None) -> Any:
    if isinstance(item, dict) and _MARK in item:
        error = item.get("error")
        return HeldImage(item[_MARK] if error is None else PictureError(str(error)))
    return item if chain is None else chain(item)


def set_image(doc: Doc, image: Any) -> None:
    """Say which picture a Doc stands for, if it is not the one that its text names.

    image (Any): A path, bytes, an array of shape (height, width[, channels]), or a picture
        of Pillow's.
    RAISES (ValueError): If it is anything else.
    """
    if image is None:
        doc.user_data.pop(IMAGE, None)
    elif isinstance(image, str | Path):
        doc.user_data[IMAGE] = str(image)
    elif isinstance(image, bytes | bytearray | memoryview):
        doc.user_data[IMAGE] = HeldImage(bytes(image))
    elif isinstance(image, np.ndarray) or hasattr(image, "getbands"):
        doc.user_data[IMAGE] = HeldImage(image)
    else:
        raise ValueError(
            "doc._.image must be a path, bytes, an array or a picture of Pillow's, got "
            f"{type(image).__name__}"
        )


def share_image(one: Doc, two: Doc) -> None:
    """Have another Doc stand for the same picture."""
    if IMAGE in one.user_data:
        two.user_data[IMAGE] = one.user_data[IMAGE]


def get_image(doc: Doc) -> Any:
    stored = doc.user_data.get(IMAGE)
    return stored.content if isinstance(stored, HeldImage) else stored
