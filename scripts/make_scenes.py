"""Draw scenes and describe them: small pictures of shapes, with captions.

    python scripts/make_scenes.py corpus/scenes

Each split is a .jsonl file with "image", its "size", "captions" (whatever order the two groups
are named in), "regions" (for each caption which part of it names what, and where that is) and
"objects", which says what everything is: the group it belongs to and its box, in pixels: left,
top, right, bottom. Some things, such as small red circles, are in no
picture of train, dev and test, but in each of heldout. Where one group is called left of the
other, or above it, at least half of the narrower one faces the other.
"""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import srsly
import typer
from PIL import Image, ImageDraw
from scenes_words import COLORS, COUNTS, HELD_OUT, SHAPES, SIZES, describe, find_regions
from wasabi import msg

SIDE = 64  # pixels
FINE = 4  # drawn so many times as large
GAP = 2  # pixels between objects


@dataclass(frozen=True)
class Object:
    group: int
    count: int
    size: str
    color: str
    shape: str
    box: tuple[int, int, int, int]


def main(folder: Path, seed: int = 0, train: int = 6000, others: int = 500) -> None:
    """FOLDER is made; TRAIN pictures to learn from, and OTHERS in each of dev, test, heldout."""
    try:
        write_scenes(folder, seed, train, others)
    except OSError as error:
        msg.fail(f"Can't write to {folder}: {error.strerror or error}", exits=1)
    msg.good(f"Drew {train + 3 * others} scenes in {folder}")


def write_scenes(folder: Path, seed: int, train: int, others: int) -> None:
    """RAISES (OSError): If a file can't be written."""
    seen: set[frozenset[Any]] = set()
    for name, number in (("train", train), ("dev", others), ("test", others), ("heldout", others)):
        rng = random.Random(f"{seed} {name}")
        (folder / name).mkdir(parents=True, exist_ok=True)
        rows = []
        for n, (image, row) in enumerate(make_scenes(rng, number, name == "heldout", seen)):
            file = f"{name}/{n:05}.png"
            image.save(folder / file)
            rows.append({"image": file, **row})
        srsly.write_jsonl(folder / f"{name}.jsonl", rows)


def make_scenes(
    rng: random.Random, number: int, held_out: bool, seen: set[frozenset[Any]]
) -> Iterator[tuple[Image.Image, dict[str, Any]]]:
    """Pictures, and what is known of each. None is like one of those `seen`, to which they are
    added."""
    while number > 0:
        objects = place(rng, choose(rng, held_out))
        scene = frozenset((item.size, item.color, item.shape, item.box) for item in objects)
        if not objects or scene in seen:
            continue
        seen.add(scene)
        known = [{**asdict(item), "box": list(item.box)} for item in objects]
        captions = describe(known)
        if captions:
            yield (
                draw(rng, objects),
                {
                    "captions": captions,
                    "size": [SIDE, SIDE],
                    "regions": [find_regions(caption, known) for caption in captions],
                    "objects": known,
                },
            )
            number -= 1


def choose(rng: random.Random, held_out: bool) -> list[dict[str, Any]]:
    """One or two groups of things that are alike in each."""
    while True:
        groups: list[dict[str, Any]] = [
            {
                "count": rng.choices(range(1, len(COUNTS) + 1), (4, 2, 1))[0],
                "size": rng.choice(list(SIZES)),
                "color": rng.choice(list(COLORS)),
                "shape": rng.choice(SHAPES),
            }
            for _ in range(rng.choice((1, 2, 2)))
        ]
        kinds = {(group["size"], group["color"], group["shape"]) for group in groups}
        if (
            len({kind[1:] for kind in kinds}) < len(groups)
            or sum(group["count"] for group in groups) > 4
        ):
            continue
        if bool(kinds & HELD_OUT) == held_out:
            return groups


def place(rng: random.Random, groups: list[dict[str, Any]]) -> list[Object]:
    """Each somewhere, none upon another; nothing where that does not work."""
    objects: list[Object] = []
    for number, group in enumerate(groups):
        for _ in range(group["count"]):
            width = rng.randint(*SIZES[group["size"]])
            for _ in range(20):
                left, top = (rng.randint(GAP, SIDE - GAP - width) for _ in range(2))
                box = (left, top, left + width, top + width)
                if all(_apart(box, other.box) for other in objects):
                    objects.append(Object(number, **group, box=box))
                    break
            else:
                return []
    return objects


def _apart(one: tuple[int, ...], two: tuple[int, ...]) -> bool:
    return any(  # beside, or above
        one[axis + 2] + GAP <= two[axis] or two[axis + 2] + GAP <= one[axis] for axis in (0, 1)
    )


def draw(rng: random.Random, objects: list[Object]) -> Image.Image:
    light = tuple(rng.randint(225, 255) for _ in range(3))
    image = Image.new("RGB", (SIDE * FINE, SIDE * FINE), light)
    pen = ImageDraw.Draw(image)
    for item in objects:
        color = tuple(min(255, max(0, c + rng.randint(-20, 20))) for c in COLORS[item.color])
        left, top, right, bottom = (value * FINE for value in item.box)
        width = right - left
        if item.shape == "circle":
            pen.ellipse((left, top, right, bottom), fill=color)
        elif item.shape == "ring":
            pen.ellipse((left, top, right, bottom), outline=color, width=width // 4)
        else:
            points = [(left + x * width, top + y * width) for x, y in _OUTLINES[item.shape]]
            pen.polygon(points, fill=color)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


_OUTLINES = {
    "square": [(0.04, 0.04), (0.96, 0.04), (0.96, 0.96), (0.04, 0.96)],
    "triangle": [(0.5, 0.0), (1.0, 1.0), (0.0, 1.0)],
    "diamond": [(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)],
    "cross": [
        (0.33, 0), (0.67, 0), (0.67, 0.33), (1, 0.33), (1, 0.67), (0.67, 0.67),
        (0.67, 1), (0.33, 1), (0.33, 0.67), (0, 0.67), (0, 0.33), (0.33, 0.33),
    ],
}  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
