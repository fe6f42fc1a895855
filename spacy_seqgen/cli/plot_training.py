"""`spacy seqgen plot-training`"""

from pathlib import Path

from spacy.cli._util import Arg, Opt
from wasabi import msg

from .app import app


@app.command("plot-training")
def plot_training_cli(
    directory: Path = Arg(
        ...,
        help="Output directory of a training, or a directory with several of them, to compare",
        exists=True,
        file_okay=False,
    ),
    output: str = Opt(
        "png",
        "--output",
        "-o",
        help="png or html, for training.png or training.html in that directory; or a file: .png, .html, .pdf or .svg",
    ),
) -> None:
    """
    Draw the learning curves of a training: its losses and scores over its updates.

    They come from the log that `spacy-seqgen.progress_logger.v1` writes. Examples:

    python -m spacy seqgen plot-training training/phrasebook

    python -m spacy seqgen plot-training training --output curves.html
    """
    from ..training.log import find_logs
    from ..training.replacing import write_atomically
    from ..visualize.curves import describe_curves, draw_curves, render_curves

    kinds = ("png", "html", "pdf", "svg")
    path = directory / f"training.{output}" if output in kinds else Path(output)
    if path.suffix[1:].lower() not in kinds:
        msg.fail(f"--output must be or end in one of {', '.join(kinds)}, got {output}", exits=1)
    try:
        logs = find_logs(directory)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".html":
            page = render_curves(logs)
            write_atomically(path, lambda new: new.write_text(page, encoding="utf8"))
        else:
            figure = draw_curves(logs)
            write_atomically(path, lambda new: figure.savefig(new, dpi=150))
    except (ValueError, ImportError, OSError) as error:
        msg.fail("Can't draw the training", str(error), exits=1)
    print(describe_curves(logs))
    msg.good(f"Wrote {path}")
