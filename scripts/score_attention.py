"""Compare where a captioner of scenes looks with where things are.

    python scripts/score_attention.py training/scenes/model-best corpus/scenes/heldout.jsonl

For each content word of a caption that is right (counts from two on, sizes, colours and
shapes): is the middle of the part of the grid that the decoder looked at most inside a box
of the group that the word names?
"""

from pathlib import Path

import numpy as np
import srsly
import typer
from loading import load_with, reading
from make_scenes import SIDE
from scenes_words import find_groups
from wasabi import msg


def main(model: Path, scenes: Path, output: Path | None = None) -> None:
    """SCENES is a .jsonl file of make_scenes.py. OUTPUT, if given, is a JSON file to add the
    score to."""
    nlp, captioner = load_with(model, "image_captioner")
    captioner.attention = True
    with reading(scenes):
        rows = list(srsly.read_jsonl(scenes))
        if any(not {"image", "captions", "objects"} <= set(row) for row in rows):
            raise ValueError("it is not what make_scenes.py writes")
    right = total = captions = chance = 0.0
    for row, doc in zip(rows, nlp.pipe(str(scenes.parent / r["image"]) for r in rows), strict=True):
        caption = doc._.captions[0]
        if caption.attention is None or caption.text not in row["captions"]:
            continue
        captions += 1
        groups = find_groups(caption.tokens, caption.text, row["objects"])
        for weights, group in zip(caption.attention, groups, strict=True):
            if group is None:
                continue
            boxes = [item["box"] for item in row["objects"] if item["group"] == group]
            inside = find_inside(weights.shape, boxes)
            right += inside.flat[int(weights.argmax())]
            chance += inside.mean()
            total += 1
    if total:
        msg.good(
            f"Attention inside the object: {right:.0f} of {total:.0f} content words, "
            f"{right / total:.1%} (anywhere: {chance / total:.1%}), in {captions:.0f} right "
            f"captions of {len(rows)}"
        )
    else:
        msg.warn(
            f"No caption of {scenes} is right, or {model} has no attention: nothing can be compared"
        )
    if output:
        scores = srsly.read_json(output) if output.exists() else {}
        try:
            srsly.write_json(
                output, {**scores, "attention_inside": right / total if total else None}
            )
        except OSError as error:
            msg.fail(f"Can't write {output}: {error.strerror or error}", exits=1)


def find_inside(shape: tuple[int, ...], boxes: list[list[int]]) -> np.ndarray:
    """Which parts of a grid have their middle inside a box."""
    rows, columns = shape
    down = (np.arange(rows) + 0.5)[:, None] * SIDE / rows
    across = (np.arange(columns) + 0.5)[None] * SIDE / columns
    found = np.zeros(shape, dtype=bool)
    for left, top, right, bottom in boxes:
        found |= (left <= across) & (across <= right) & (top <= down) & (down <= bottom)
    return found


if __name__ == "__main__":
    typer.run(main)
