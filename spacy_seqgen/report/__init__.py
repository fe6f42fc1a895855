"""A report of some trainings: one page to look at, or Markdown.

Each section is a module with a `TITLE`, and a function `build` that looks for what it needs
among the inputs and says plainly what is not there. To add one, write such a module and
name it in `SECTIONS`.
"""

from pathlib import Path
from types import ModuleType

from ..training.replacing import write_atomically
from . import (
    captions,
    classes,
    curves,
    facts,
    samples,
    scores,
    summary,
    surprisal,
    translations,
)
from .blocks import Block, Section, Text
from .inputs import Inputs
from .render import render_html, render_markdown

__all__ = ["SECTIONS", "Block", "Inputs", "Section", "make_report"]

SECTIONS: list[ModuleType] = [
    summary, scores, curves, samples, surprisal, translations, classes, captions, facts,
]  # fmt: skip


def make_report(
    folder: Path, output: Path, *, metrics: Path | None = None, prompt: str = "The "
) -> Inputs:
    """Write a report.

    folder (Path): The output directory of a training, or a directory with several.
    output (Path): The file, .html or .md. The figures of the latter are beside it.
    metrics (Path | None): A directory of scores, as `spacy seqgen evaluate --output` writes
        them; by default "metrics" beside the folder, or beside the one that the output directory
        of a single training is in.
    prompt (str): What the samples of language models continue.
    RETURNS (Inputs): What was found.
    RAISES (ValueError): If there is no pipeline in the folder.
    RAISES (OSError): If the file can't be written.
    """
    inputs = Inputs(folder, metrics or _find_metrics(folder), prompt)
    title = f"Report of {folder.resolve().name}"
    sections = [Section(module.TITLE, _build(module, inputs)) for module in SECTIONS]
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix.lower() == ".md":
        render_markdown(title, sections, output)
    else:
        page = render_html(title, sections)
        write_atomically(output, lambda path: path.write_text(page, encoding="utf8"))
    return inputs


def _find_metrics(folder: Path) -> Path:
    beside = [parent / "metrics" for parent in folder.resolve().parents[:2]]
    return next((path for path in beside if path.is_dir()), beside[0])


def _build(module: ModuleType, inputs: Inputs) -> list[Block]:
    """The blocks of a section. What is wrong with one leaves the others as they are."""
    try:
        return module.build(inputs)
    except Exception as error:  # of any kind: its files may hold anything
        reason = f"{type(error).__name__}: {error}"
        inputs.problems.append(f"The part {module.TITLE!r} can't be made: {reason}")
        return [Text(f"This can't be shown: {reason}.", absent=True)]
