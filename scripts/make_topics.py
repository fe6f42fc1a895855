"""Write the text of the embedded default: Python's own documentation of its language,
which comes with Python as `pydoc_data.topics` (what `help("for")` shows).

The documentation repeats itself. Paragraphs that occur more than once are kept once, so
that the part held out for evaluation does not occur in training. Tables drawn with lines
are left out: a model would draw lines for ever.
"""

from pathlib import Path
from pydoc_data.topics import topics
from typing import Annotated

import typer
from wasabi import msg


def make_text() -> str:
    seen: set[str] = set()
    kept = []
    for name in sorted(topics):
        for paragraph in topics[name].split("\n\n"):
            key = " ".join(paragraph.split())
            if key and key not in seen and "+--" not in key and not key.startswith("|"):
                seen.add(key)
                kept.append(paragraph.strip("\n"))
    return "\n\n".join(kept) + "\n"


def main(output: Annotated[Path, typer.Argument(help="Text file to write")]) -> None:
    """Write Python's language documentation as one text file."""
    text = make_text()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf8")
    except OSError as error:
        msg.fail(f"Can't write {output}: {error.strerror or error}", exits=1)
    msg.good(f"Wrote {len(text):,} characters to {output}")


if __name__ == "__main__":
    typer.run(main)
