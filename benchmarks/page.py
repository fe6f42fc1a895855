"""A page of what was measured: docs/benchmarks.md."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from spacy_seqgen.training.log import describe_run

from .harness import Row, show_number

_TOP = (
    "# Benchmarks\n\nWhat `python -m benchmarks NAME --page docs/benchmarks.md` measured last:\n"
    "each run writes its rows, and leaves the others as they are. What the rows mean, and what\n"
    "else was seen, is on the page [experiments](experiments.md). A ratio is the median of those\n"
    "of all rounds: where the machine's speed varied, it is not that of the medians beside it.\n"
)
_HEADER = (
    "| What | Ours | Other | Ratio | Bar | Reached | Unit | Spread | Peer | Measured |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


def update_page(path: Path, name: str, rows: Iterable[Row], arguments: Sequence[str]) -> None:
    """Write rows into a page, instead of those of the same name.

    path (Path): The page; made if it is not there.
    name (str): Of the benchmark: a section of the page.
    arguments (Sequence[str]): Those of the command line.
    RAISES (OSError): If it can't be written.
    """
    sections = read_page(path.read_text(encoding="utf8")) if path.exists() else {}
    run = describe_run()
    machine = f"{run['machine']['processor']}, torch {run['versions']['torch']}"
    shown = _without_places(arguments)
    measured = (
        f"{run['started'][:10]}, {machine}: `{shlex.join(['python', '-m', 'benchmarks', *shown])}`"
    )
    section = sections.setdefault(name, {})
    for row in rows:
        name = row.what.replace("|", "\\|")
        what = f"{name}; {row.note}" if row.note else name
        reached = {True: "yes", False: "no", None: "-"}[row.ok]
        spread = "-" if row.spread is None else f"{row.spread:.0%}"
        numbers = map(show_number, (row.ours, row.other, row.ratio, row.bar))
        cells = [what, *numbers, reached, row.unit, spread, show_number(row.peer), measured]
        section[name] = f"| {' | '.join(cells)} |"
    parts = [_TOP]
    for title, lines in sorted(sections.items()):
        parts.append(f"## {title}\n\n{_HEADER}" + "\n".join(lines.values()) + "\n")
    path.write_text("\n".join(parts), encoding="utf8")


def _without_places(arguments: Sequence[str]) -> list[str]:
    """Arguments without what is only true of this machine: where results go, and the folders
    of absolute paths."""
    shown: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in ("--page", "--json"):
            next(words, None)
        elif not word.startswith(("--page=", "--json=")):
            path = Path(word)
            # An interpreter is that of an environment, whose name tells it from others.
            kept = path.parts[-3:] if path.parent.name == "bin" else path.parts[-1:]
            shown.append("/".join(kept) if path.is_absolute() else word)
    return shown


def read_page(text: str) -> dict[str, dict[str, str]]:
    """The rows of each section, by what was measured."""
    sections: dict[str, dict[str, str]] = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        title, *lines = part.splitlines()
        rows = [line for line in lines if line.startswith("| ")][2:]
        sections[title] = {_key(line[2:]): line for line in rows}
    return sections


def _key(text: str) -> str:
    """Notes, which change, stand behind a semicolon."""
    return re.split(r"; | \| ", text)[0]
