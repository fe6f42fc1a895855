"""`spacy seqgen report`"""

from pathlib import Path

from spacy.cli._util import Arg, Opt
from wasabi import msg

from .app import app


@app.command("report")
def report_cli(
    directory: Path = Arg(
        ...,
        help="Output directory of a training, or a directory with several of them",
        exists=True,
        file_okay=False,
    ),
    output: Path = Opt(..., "--output", "-o", help="File to write: .html, or .md", dir_okay=False),
    metrics: Path | None = Opt(
        None,
        "--metrics",
        "-m",
        help="Directory of scores, as `evaluate --output` writes them; by default metrics beside DIRECTORY, or beside the one that it is in",
        exists=True,
        file_okay=False,
    ),
    prompt: str = Opt("The ", "--prompt", "-p", help="What samples of language models continue"),
) -> None:
    """
    Write a report of trainings: scores, learning curves, samples, surprisal,
    translations side by side, attention, what classifiers confuse, captions,
    sizes and versions.

    The HTML is one file that fetches nothing. What is not there, the report says. Example:

    python -m spacy seqgen report training/ --output training/report.html
    """
    if output.suffix.lower() not in (".html", ".md"):
        msg.fail(f"--output must end in .html or .md, got {output}", exits=1)
    from ..report import make_report
    from .common import count

    try:
        found = make_report(directory, output, metrics=metrics, prompt=prompt)
    except (ValueError, ImportError, OSError) as error:
        msg.fail(f"Can't write the report {output}", str(error), exits=1)
    for problem in found.problems:
        msg.warn(problem)
    names = ", ".join(run.name for run in found.runs)
    msg.good(f"Wrote {output}, of {count(len(found.runs), 'training')}: {names}")
