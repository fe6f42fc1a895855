"""What classifiers confuse, how far they can be believed, and what they went by."""

import html
from collections.abc import Sequence
from typing import Any

from spacy.training import Example

from ..attribution import CatsExplainer, get_attribution
from ..calibration import classification_report
from ..visualize.classification import draw_reliability
from ..visualize.coloured import render_attribution
from .blocks import Block, Group, Heading, Marked, Picture, Table, Text
from .inputs import Inputs, Run

TITLE = "Classes"
FACTORIES = {"textcat": True, "textcat_multilabel": False}  # whether classes are exclusive
_READ = 300
_TEXTS = 3
_SHORT = 200  # characters
_DARKEST = 0.45  # leaves the text enough contrast, on light and on dark


def build(inputs: Inputs) -> list[Block]:
    found = [
        (run, name, exclusive)
        for factory, exclusive in FACTORIES.items()
        for run, name in inputs.with_component(factory)
    ]
    if not found:
        return [Text("No pipeline here has a textcat or textcat_multilabel.", absent=True)]
    blocks: list[Block] = []
    for run, name, exclusive in found:
        blocks.append(Heading(run.name))
        try:
            blocks += _classify(run, name, exclusive)
        except (ValueError, OSError) as error:
            blocks.append(Text(f"The texts can't be classified: {error}", absent=True))
    return blocks


def _classify(run: Run, name: str, exclusive: bool) -> list[Block]:
    examples = run.dev_examples(_READ)
    if not examples:
        return [Text("There are no texts in the development data.", absent=True)]
    docs = run.nlp.pipe([example.reference.text for example in examples])
    pairs = zip(docs, examples, strict=True)
    examples = [Example(doc, example.reference) for doc, example in pairs]
    pipe: Any = run.nlp.get_pipe(name)
    report = classification_report(examples, pipe.labels, exclusive)
    summary = (
        f"Of the first {report['texts']} texts that the training was evaluated on: accuracy "
        f"{report['accuracy']:.3f}, expected calibration error {report['calibration']['ece']:.3f}."
    )
    rows = [(label, *(item[k] for k in ("p", "r", "f", "texts")))
            for label, item in report["per_class"].items()]  # fmt: skip
    table = Table(["class", "precision", "recall", "F", "texts"], rows)
    return [Text(summary), table, Group(_pictures(report, exclusive)), *_explain(pipe, examples)]


def _pictures(report: dict[str, Any], exclusive: bool) -> list[Block]:
    bins = ", ".join(
        f"{item['true']:.2f} where {item['said']:.2f} was said"
        for item in report["calibration"]["bins"]
    )
    caption = (
        "How often it was right when it gave this probability: ideally, as on the dotted line."
    )
    reliability = Picture(draw_reliability(report), f"{caption} {bins}.", caption)
    return [_confusion(report), reliability] if exclusive else [reliability]


def _confusion(report: dict[str, Any]) -> Marked:
    """As a table, whose text keeps its contrast on light and on dark."""
    labels = report["labels"]
    head = "".join(f"<th>{html.escape(label)}</th>" for label in labels)
    rows, plain = [], []
    for label, counts in zip(labels, report["confusion"], strict=True):
        cells = "".join(
            f'<td class="number" style="background: rgba(214, 90, 30, '
            f'{_DARKEST * n / max(1, sum(counts)):.2f})">{n}</td>'
            for n in counts
        )
        rows.append(f'<tr><th scope="row">{html.escape(label)}</th>{cells}</tr>')
        said = ", ".join(f"{n} as {other}" for n, other in zip(counts, labels, strict=True))
        plain.append(f"{label}: {said}")
    note = "What was taken for what: true classes down, predicted ones across."
    table = f'<table class="data"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    return Marked(
        f'<p class="text">{note}</p><div class="wide">{table}</div>', f"{note} {'; '.join(plain)}"
    )


def _explain(pipe: Any, examples: Sequence[Example]) -> list[Block]:
    """A few short texts, those that it is most wrong about first."""
    short = [eg for eg in examples if 0 < len(eg.reference.text) <= _SHORT]
    chosen = sorted(short, key=_probability_of_truth)[:_TEXTS]
    explainer = CatsExplainer("explainer", pipe, method="gradient", threshold=1.0)
    blocks: list[Block] = []
    try:
        for example in chosen:
            doc = explainer(example.predicted)
            true = ", ".join(
                label for label, value in example.reference.cats.items() if value > 0.5
            )
            plain = "; ".join(
                f"{label}: "
                + " ".join(f"{t.text} {s:+.2f}" for t, s in zip(doc, scores, strict=True))
                for label, scores in get_attribution(doc).items()
            )
            blocks.append(Text(f"In truth: {true or 'none'}"))
            blocks.append(Marked(render_attribution(doc), plain))
    except ValueError as error:
        return [Text(f"What it went by can't be told: {error}", absent=True)]
    if not blocks:
        return [Text(f"No text is of up to {_SHORT} characters.", absent=True)]
    note = "What it went by where it was most wrong: orange speaks for the class, blue against it."
    return [Text(note), *blocks]


def _probability_of_truth(example: Example) -> float:
    found, true = example.predicted.cats, example.reference.cats
    return min((found.get(label, 0.0) for label, value in true.items() if value > 0.5), default=1.0)
