"""The words of the scenes, and what captions say."""

from typing import Any

COLORS = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 215),
    "yellow": (235, 195, 30),
    "purple": (150, 50, 170),
    "black": (40, 40, 40),
}
SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring")
SIZES = {"small": (12, 14), "big": (20, 22)}  # pixels
COUNTS = ("a", "two", "three")
# What no picture for training shows: of each colour one shape that is never small, and one that is
# never big. So each shape comes in each colour, and in each size.
HELD_OUT = frozenset(
    (size, color, SHAPES[(number + shift) % len(SHAPES)])
    for shift, size in enumerate(SIZES)
    for number, color in enumerate(COLORS)
)
# How much of the narrower group must be beside the other, or above it, to be called so.
FACING = 0.5
# Which end of the one box has to be before which end of the other.
RELATIONS = {"left of": (2, 0), "right of": (0, 2), "above": (3, 1), "below": (1, 3)}


def describe(objects: list[dict[str, Any]]) -> list[str]:
    """The captions of a scene; none, if it can't be said where the groups are."""
    groups = [[item for item in objects if item["group"] == n] for n in (0, 1)]
    if not groups[1]:
        return [name(groups[0][0])]
    found = [relation for relation in RELATIONS if _holds(relation, *groups)]
    if len(found) != 1:
        return []
    across = found[0] in ("above", "below")
    if _overlap(groups[0], groups[1], axis=0 if across else 1) < FACING:
        return []  # neither beside each other nor one above the other, or a bit of both
    (back,) = (relation for relation in RELATIONS if _holds(relation, groups[1], groups[0]))
    one, two = name(groups[0][0]), name(groups[1][0])
    return [f"{one} {found[0]} {two}", f"{two} {back} {one}"]


def name(item: dict[str, Any]) -> str:
    """What a group is called."""
    plural = item["count"] > 1
    shape = item["shape"] + ("es" if item["shape"] == "cross" else "s") * plural
    return f"{COUNTS[item['count'] - 1]} {item['size']} {item['color']} {shape}"


def _holds(relation: str, one: list[dict[str, Any]], two: list[dict[str, Any]]) -> bool:
    mine, theirs = RELATIONS[relation]
    if mine > theirs:
        return max(item["box"][mine] for item in one) < min(item["box"][theirs] for item in two)
    return min(item["box"][mine] for item in one) > max(item["box"][theirs] for item in two)


def _overlap(one: list[dict[str, Any]], two: list[dict[str, Any]], axis: int) -> float:
    """Across (0) or down (1): the share of the narrower group that is where the other is."""
    ends = [
        (min(o["box"][axis] for o in group), max(o["box"][axis + 2] for o in group))
        for group in (one, two)
    ]
    shared = min(last for _, last in ends) - max(first for first, _ in ends)
    return shared / min(last - first for first, last in ends)


def find_groups(
    words: list[str] | tuple[str, ...], caption: str, objects: list[dict[str, Any]]
) -> list[int | None]:
    """For each word of a true caption the group that it names; None for "a" and for words
    that say where something is."""
    first = 0 if caption.startswith(name(next(o for o in objects if o["group"] == 0))) else 1
    found: list[int | None] = []
    group, between = first, {word for relation in RELATIONS for word in relation.split()}
    for word in words:
        if word in between:
            group = 1 - first
        found.append(None if word in between or word == "a" else group)
    return found


def find_regions(caption: str, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of a true caption that name a group, and the boxes of what is in it."""
    regions: list[dict[str, Any]] = []
    words, end, last = caption.split(" "), -1, None
    for word, group in zip(words, find_groups(words, caption, objects), strict=True):
        start, end = end + 1, end + 1 + len(word)
        if group is not None and group == last:
            regions[-1]["end"] = end
        elif group is not None:
            boxes = [list(item["box"]) for item in objects if item["group"] == group]
            regions.append({"start": start, "end": end, "boxes": boxes})
        last = group
    return regions
