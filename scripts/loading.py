"""What scripts read: whatever is wrong with it ends them in one sentence."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from wasabi import msg


def load_with(model: Path, component: str) -> tuple[Language, Any]:
    """A pipeline, and the component of it that a script is about."""
    try:
        nlp = spacy.load(model)
    except (OSError, ValueError) as error:
        msg.fail(f"Can't load the pipeline {model}: {error}", exits=1)
    if component not in nlp.pipe_names:
        names = ", ".join(nlp.pipe_names) or "nothing"
        msg.fail(f"The pipeline {model} has no {component}: it has {names}", exits=1)
    return nlp, nlp.get_pipe(component)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """A context in which a file is read."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:  # what a file holds may be odd
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        msg.fail(f"Can't read {path}: {what}", exits=1)
