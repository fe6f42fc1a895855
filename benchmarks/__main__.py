"""`python -m benchmarks NAME`"""

from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from wasabi import msg

from .harness import Row, print_table

NAMES = ("char-lm", "translator", "captioner")


def main(
    name: Annotated[str, typer.Argument(help=f"What to measure: {', '.join(NAMES)}")],
    json: Annotated[Path | None, typer.Option(help="Write the rows as JSON")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Measure other packages too")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Rough, within a minute")] = False,
    only: Annotated[str, typer.Option(help="Only rows whose name holds this")] = "",
    text: Annotated[
        Path, typer.Option(help="Text to learn; get it with: python -m spacy project assets")
    ] = Path("assets/tinyshakespeare.txt"),
    pairs: Annotated[
        Path, typer.Option(help="Folder of Multi30k; the phrasebook is used if it is not there")
    ] = Path("assets/multi30k"),
) -> None:
    """
    Measure speed and quality against plain PyTorch, written as well as we can.

    Both sides run in turn in one process, on one thread unless a row says otherwise; the
    table has the medians of five rounds. Without --quick, models are trained to the end,
    which takes an hour. Examples:

    python -m benchmarks char-lm --quick

    python -m benchmarks translator --only decoding
    """
    if name not in NAMES:
        msg.fail(f"There is no benchmark {name!r}. There are: {', '.join(NAMES)}", exits=1)
    if name == "translator":
        from .translator import Benchmark as TranslatorBenchmark

        rows = TranslatorBenchmark(pairs, quick=quick, peers=peers, only=only).run()
    elif name == "captioner":
        from .captioner import Benchmark as CaptionerBenchmark

        rows = CaptionerBenchmark(quick=quick, only=only).run()
    else:
        rows = _char_lm(text, quick=quick, peers=peers, only=only)
    print_table(rows, "Keras" if name == "char-lm" else "Peer")
    if json:
        srsly.write_json(json, [row.to_dict() for row in rows])
        msg.good(f"Wrote {len(rows)} rows to {json}")


def _char_lm(text: Path, **options: Any) -> list[Row]:
    if not text.exists():
        msg.fail(
            f"There is no text {text}",
            "Get it with `python -m spacy project assets`, or give another one with --text.",
            exits=1,
        )
    from .char_lm import Benchmark

    return Benchmark(text, **options).run()


if __name__ == "__main__":
    typer.run(main)
