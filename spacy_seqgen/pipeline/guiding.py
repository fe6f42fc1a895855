"""Where attention should be while captions are learned, from the regions they come with."""

from collections.abc import Sequence

import numpy as np
from spacy.tokens import Doc

from ..pictures import PictureSettings
from ..regions import Region, get_regions
from ..vocabularies.base import Encoded


def make_guide(
    captions: Sequence[tuple[Doc, str, Encoded]], pictures: PictureSettings, rows: int, columns: int
) -> np.ndarray | None:
    """
    captions (Sequence[tuple[Doc, str, Encoded]]): The reference Docs, a caption of each and
        its symbols.
    pictures (PictureSettings): How pictures are brought to size, and so boxes on them.
    rows, columns (int): Of the grid.
    RETURNS (np.ndarray | None): Shape (captions, time, rows x columns), float32: how much of
        each part each symbol is about, from 0 to 1; 0 everywhere where that is not known. A
        symbol in several regions is about all of them. One more symbol than the longest caption,
        for its end. None if nothing is known of any.
    """
    found = None
    for number, (doc, text, encoded) in enumerate(captions):
        known = get_regions(doc)
        for region in known.captions.get(text, ()) if known else ():
            if found is None:
                longest = max(len(item.ids) for _, _, item in captions)
                shape = (len(captions), longest + 1, rows * columns)
                found = np.zeros(shape, dtype=np.float32)
            boxes = [pictures.fit_box(box, known.size) for box in region.boxes]  # type: ignore[union-attr]
            cover = cover_grid(boxes, rows, columns)
            for symbol in find_symbols(text, encoded.starts, region):
                np.maximum(found[number, symbol], cover, out=found[number, symbol])
    return found


def find_symbols(text: str, starts: np.ndarray, region: Region) -> list[int]:
    """The symbols of a caption that say any of a region, spaces apart."""
    ends = [*starts[1:].tolist(), len(text)]
    found = []
    for number, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        said = text[max(start, region.start) : min(end, region.end)]
        if said.strip():
            found.append(number)
    return found


def cover_grid(boxes: Sequence[Sequence[float]], rows: int, columns: int) -> np.ndarray:
    """How much of each part of a grid is in a box.

    boxes (Sequence[Sequence[float]]): Left, top, right and bottom, in shares of width and
        height.
    RETURNS (np.ndarray): Shape (rows x columns,), float32: of the box that covers most of the
        part, the share that it covers, from 0 to 1.
    """
    found = np.zeros((rows, columns), dtype=np.float32)
    for left, top, right, bottom in boxes:
        down = _overlap(top, bottom, rows)[:, None]
        found = np.maximum(found, down * _overlap(left, right, columns))
    return found.reshape(-1)


def _overlap(first: float, last: float, parts: int) -> np.ndarray:
    edges = np.arange(parts + 1)
    inside = np.minimum(edges[1:], last * parts) - np.maximum(edges[:-1], first * parts)
    return inside.clip(0, 1).astype(np.float32)
