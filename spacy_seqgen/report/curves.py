"""Learning curves."""

from ..training.log import FILE_NAME
from ..visualize.curves import describe_curves, draw_curves
from .blocks import Block, Group, Picture, Text
from .inputs import Inputs

TITLE = "Learning curves"


def build(inputs: Inputs) -> list[Block]:
    pictures: list[Block] = []
    absent: list[Block] = []
    for run in inputs.runs:
        if run.log is None or not run.log.rows:
            reason = "has no log: the logger spacy-seqgen.progress_logger.v1 writes it"
            if (run.path / FILE_NAME).exists():
                reason = "has a log that is empty or damaged"
            absent.append(Text(f"{run.name} {reason}.", absent=True))
            continue
        logs = {run.name: run.log}
        words = describe_curves(logs)
        pictures.append(Picture(draw_curves(logs, columns=1), words, words))
    return [Group(pictures), *absent] if pictures else absent
