"""`python -m benchmarks NAME`"""

from pathlib import Path
from typing import Annotated

import srsly
import typer
from wasabi import msg

from .harness import print_table

NAMES = ("char-lm",)


def main(
    name: Annotated[str, typer.Argument(help=f"What to measure: {', '.join(NAMES)}")],
    json: Annotated[Path | None, typer.Option(help="Write the rows as JSON")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Measure other packages too")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Rough, within a minute")] = False,
    only: Annotated[str, typer.Option(help="Only rows whose name holds this")] = "",
    text: Annotated[
        Path, typer.Option(help="Text to learn; get it with: python -m spacy project assets")
    ] = Path("assets/tinyshakespeare.txt"),
) -> None:
    """
    Measure speed and quality against plain PyTorch, written as well as we can.

    Both sides run in turn in one process, on one thread unless a row says otherwise; the
    table has the medians of five rounds. Without --quick, models are trained to the end,
    which takes an hour. Example:

    python -m benchmarks char-lm --quick
    """
    if name not in NAMES:
        msg.fail(f"There is no benchmark {name!r}. There are: {', '.join(NAMES)}", exits=1)
    if not text.exists():
        msg.fail(
            f"There is no text {text}",
            "Get it with `python -m spacy project assets`, or give another one with --text.",
            exits=1,
        )
    from .char_lm import Benchmark

    rows = Benchmark(text, quick=quick, peers=peers, only=only).run()
    print_table(rows)
    if json:
        srsly.write_json(json, [row.to_dict() for row in rows])
        msg.good(f"Wrote {len(rows)} rows to {json}")


if __name__ == "__main__":
    typer.run(main)
