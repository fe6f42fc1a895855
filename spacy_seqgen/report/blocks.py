"""What sections are made of, before it is HTML or Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Heading:
    """A heading inside of a section."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph.

    absent (bool): It says what is not there.
    """

    text: str
    absent: bool = False


@dataclass(frozen=True)
class Table:
    """
    header (Sequence[str]): Titles of the columns; empty for none.
    rows (Sequence[Sequence[Any]]): Numbers are set to the right, None is a dash.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Sample:
    """Text that a model wrote.

    prompt (str), text (str): What it was given, and what it wrote.
    """

    prompt: str
    text: str


@dataclass(frozen=True)
class Picture:
    """
    figure (matplotlib.figure.Figure): Of `spacy_seqgen.visualize.figure.new_figure`.
    description (str): The same in words, for those who can't see it.
    caption (str): What is below.
    """

    figure: Any
    description: str
    caption: str


@dataclass(frozen=True)
class Marked:
    """Something that only HTML can show.

    html (str): Made by this package, with all text escaped.
    plain (str): The same for Markdown, as text.
    """

    html: str
    plain: str


@dataclass(frozen=True)
class Group:
    """Blocks that stand beside each other where there is room."""

    blocks: Sequence["Block"]


Block = Heading | Text | Table | Sample | Picture | Marked | Group


@dataclass(frozen=True)
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)
