"""`spacy seqgen classification-report`"""

from pathlib import Path

import srsly
from spacy.cli._util import Arg, Opt, setup_gpu
from wasabi import msg

from .app import app


@app.command("classification-report")
def classification_report_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a textcat or textcat_multilabel"),
    path: Path = Arg(
        ..., help="Labelled texts: .spacy, .tsv, .csv, .jsonl, or a folder", exists=True
    ),
    output: Path = Opt(..., "--output", "-o", help="Folder to write to", file_okay=False),
    format: str = Opt("auto", "--format", "-f", help="Of the texts, if the ending does not tell"),
    component: str | None = Opt(
        None, "--component", "-c", help="Name of the component, if there are several"
    ),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Say how well texts are classified: what is confused, and how far the probabilities can be
    believed. Writes report.json, reliability.png and, for exclusive classes, confusion.png.

    Example:

    python -m spacy seqgen classification-report training/sentiment/model-best test.tsv
    --output training/sentiment/report
    """
    from ..calibration import classification_report
    from ..visualize.classification import save_confusion, save_reliability
    from .common import find_classifier, load_pipeline, read_labelled_examples

    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    name, pipe, exclusive = find_classifier(nlp, component)
    try:
        examples = list(read_labelled_examples(nlp, path, format))
        for example, doc in zip(examples, nlp.pipe([eg.text for eg in examples]), strict=True):
            example.predicted = doc
        report = classification_report(examples, pipe.labels, exclusive)
        output.mkdir(parents=True, exist_ok=True)
        srsly.write_json(output / "report.json", report)
        save_reliability(report, output / "reliability.png")
        if exclusive:
            save_confusion(report, output / "confusion.png")
    except (ValueError, ImportError, OSError) as error:
        msg.fail("Can't make the report", str(error), exits=1)
    rows = [
        (label, *(f"{item[key]:.3f}" for key in ("p", "r", "f")), item["texts"])
        for label, item in report["per_class"].items()
    ]
    msg.table(rows, header=("class", "p", "r", "f", "texts"), divider=True)
    values = {"accuracy": report["accuracy"], "ece": report["calibration"]["ece"]}
    msg.table([(name, f"{value:.4f}") for name, value in values.items()])
    msg.good(f"Wrote the report of '{name}' to {output}")
