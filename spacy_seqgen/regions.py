"""Where in a picture the things are that a caption names: what guides attention in training
(Liu et al. 2017, https://arxiv.org/abs/1605.09553)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from spacy.tokens import Doc

REGIONS = "spacy_seqgen.caption_regions"

Box = tuple[float, float, float, float]


class Region(NamedTuple):
    """What a part of a caption is about.

    start, end (int): Its characters.
    boxes (tuple[Box, ...]): Where that is: left, top, right and bottom of each box, in pixels of
        the picture as it is shown.
    """

    start: int
    end: int
    boxes: tuple[Box, ...]


class Regions(NamedTuple):
    """Those of a picture.

    size (tuple[float, float]): Its width and height in pixels, as it is shown.
    captions (dict[str, list[Region]]): Of each caption.
    """

    size: tuple[float, float]
    captions: dict[str, list[Region]]


def set_regions(doc: Doc, regions: Regions) -> None:
    """Tell a reference Doc where the things are that its captions name."""
    captions = {
        text: [[part.start, part.end, [list(box) for box in part.boxes]] for part in parts]
        for text, parts in regions.captions.items()
    }
    doc.user_data[REGIONS] = {"size": list(regions.size), "captions": captions}


def get_regions(doc: Doc) -> Regions | None:
    stored = doc.user_data.get(REGIONS)
    if stored is None:
        return None
    captions = {
        text: [Region(start, end, tuple(map(tuple, boxes))) for start, end, boxes in parts]
        for text, parts in stored["captions"].items()
    }
    return Regions(tuple(stored["size"]), captions)


def read_regions(data: dict[str, Any], captions: Sequence[str]) -> Regions | None:
    """Those of a line of JSONL.

    data (dict): With "regions": for each caption a list of {"start", "end", "boxes"}; and
        "size": width and height of the picture.
    RAISES (ValueError): If they are anything else.
    """
    given: Any = data.get("regions")
    size: Any = data.get("size")
    if given is None:
        return None
    if not _are_numbers(size, 2) or min(size) <= 0:
        raise ValueError('"regions" need "size": [width, height], in pixels of the picture')
    if not isinstance(given, list) or len(given) != len(captions):
        raise ValueError('"regions" must have a list for each caption')
    found: dict[str, list[Region]] = {}
    for text, parts in zip(captions, given, strict=True):
        if not isinstance(parts, list):
            raise ValueError('"regions" must have a list for each caption')
        before = len(text) - len(text.lstrip())  # the reader strips captions
        read = [_read_region(part, text) for part in parts]
        found.setdefault(text.strip(), []).extend(
            Region(max(0, part.start - before), part.end - before, part.boxes)
            for part in read
            if part.end > before
        )
    for region in (part for parts in found.values() for part in parts):
        for left, top, right, bottom in region.boxes:
            if right <= 0 or bottom <= 0 or left >= size[0] or top >= size[1]:
                raise ValueError(
                    f"the box {[left, top, right, bottom]} is outside of a picture of "
                    f"{size[0]} x {size[1]} pixels"
                )
    return Regions((size[0], size[1]), found)


def _read_region(part: Any, text: str) -> Region:
    if not isinstance(part, dict) or not {"start", "end", "boxes"} <= part.keys():
        raise ValueError(f'a region must have "start", "end" and "boxes", found {part!r:.60}')
    start, end, boxes = part["start"], part["end"], part["boxes"]
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        place = f"{start} to {end}"
        raise ValueError(f"a region must be some characters of {text!r:.60}, found {place}")
    if not isinstance(boxes, list) or not all(_is_box(box) for box in boxes):
        raise ValueError(f"boxes must be [left, top, right, bottom], found {boxes!r:.60}")
    return Region(start, end, tuple(map(tuple, boxes)))


def _is_box(box: Any) -> bool:
    return _are_numbers(box, 4) and box[0] < box[2] and box[1] < box[3]


def _are_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in (int, float) and abs(value) < 2**31 for value in values)
    )
