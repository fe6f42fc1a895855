"""Translators side by side: what they write, how they do on long sentences, where they look."""

from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example

from ..outputs import get_translation
from ..visualize import get_attention_maps
from ..visualize.figure import new_figure
from ..visualize.html import describe_map, render_table
from ..visualize.labels import add_legend, plain
from .blocks import Block, Group, Heading, Marked, Picture, Table, Text
from .inputs import Inputs, Run

TITLE = "Translations"
_READ = 400  # examples to choose from
_SENTENCES = 5
_MAPS = 2
_WIDEST = 9  # tokens of a sentence whose attention is shown: fits a phone


def build(inputs: Inputs) -> list[Block]:
    found = inputs.with_component("translator")
    if not found:
        return [Text("No pipeline here has a translator.", absent=True)]
    groups: dict[str, list[tuple[Run, str]]] = {}
    for run, name in found:  # those that were evaluated on the same sentences are compared
        groups.setdefault(str(run.config.get("paths", {}).get("dev")), []).append((run, name))
    blocks: list[Block] = []
    for members in groups.values():
        blocks += _side_by_side(members)
        blocks += _by_length(inputs, [run.name for run, _ in members])
        for run, name in members:
            blocks += _attention(run, name)
    return blocks


def _side_by_side(members: Sequence[tuple[Run, str]]) -> list[Block]:
    names = ", ".join(run.name for run, _ in members)
    blocks: list[Block] = [Heading(f"Side by side: {names}" if len(members) > 1 else names)]
    examples: list[Example] = []
    written: dict[str, list[str]] = {}
    for run, _ in members:  # one that can't be used leaves the others as they are
        try:
            examples = examples or _spread(run.dev_examples(_READ), _SENTENCES)
            docs = run.nlp.pipe([example.reference.text for example in examples])
            written[run.name] = [doc._.translation for doc in docs]
        except (ValueError, OSError) as error:
            text = f"The sentences can't be translated by {run.name}: {error}"
            blocks.append(Text(text, absent=True))
    for number, example in enumerate(examples if written else []):
        gold = get_translation(example.reference)
        rows: list[tuple[str, Any]] = [("source", example.reference.text), ("reference", gold)]
        for name, translations in written.items():
            same = translations[number] == gold
            rows.append((name + (" (as the reference)" if same else ""), translations[number]))
        blocks.append(Table([], rows))
    return blocks


def _spread(examples: Sequence[Example], count: int) -> list[Example]:
    """Some examples, from the shortest to the longest."""
    ordered = sorted(examples, key=lambda eg: (len(eg.reference.text), eg.reference.text))
    if not ordered:
        raise ValueError("there are none in the development data")
    places = {round(n * (len(ordered) - 1) / max(count - 1, 1)) for n in range(count)}
    return [ordered[place] for place in sorted(places)]


def _by_length(inputs: Inputs, names: Sequence[str]) -> list[Block]:
    """Of those runs whose scores have the same name."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        for part in inputs.metrics.get(name, {}).values():
            if isinstance(part, dict) and part.get("bleu_by_length"):
                found[name] = part["bleu_by_length"]
    blocks: list[Block] = [Heading("BLEU by the length of the source")]
    if not found:
        expected = " or ".join(f"{name}.json" for name in names)
        return [
            *blocks,
            Text(f"No {expected} in {inputs.metrics_folder} holds bleu_by_length.", absent=True),
        ]
    groups = list(dict.fromkeys(group for scores in found.values() for group in scores))
    rows = [
        (
            group,
            next(s[group]["sentences"] for s in found.values() if group in s),
            *(scores.get(group, {}).get("bleu") for scores in found.values()),
        )
        for group in groups
    ]
    words = "; ".join(
        f"{name}: " + ", ".join(f"{scores[key]['bleu']:.3f} for {key}" for key in scores)
        for name, scores in found.items()
    )
    caption = "BLEU of the sentences with so many words in the source."
    table = Table(["words in the source", "sentences", *found], rows)
    return [*blocks, Group([Picture(_draw(groups, found), f"{caption} {words}.", caption), table])]


def _draw(groups: Sequence[str], found: dict[str, dict[str, Any]]) -> Any:
    figure = new_figure(3.7, 2.8)
    axes = figure.add_subplot()
    width = 0.8 / len(found)
    for number, (name, scores) in enumerate(found.items()):
        places = [place + (number - (len(found) - 1) / 2) * width for place in range(len(groups))]
        values = [scores.get(group, {}).get("bleu", 0.0) for group in groups]
        style: dict[str, Any] = {"color": f"C{number}", "hatch": ["", "//"][number % 2]}
        axes.bar(places, values, width, label=plain(name), **style)
    axes.set_xticks(range(len(groups)), groups, fontsize="small", parse_math=False)
    axes.set_xlabel("words in the source")
    axes.set_ylabel("BLEU")
    axes.set_ylim(0, 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    add_legend(figure, [axes], columns=1)
    return figure


def _attention(run: Run, name: str) -> list[Block]:
    blocks: list[Block] = [Heading(f"Where {run.name} looks")]
    if run.config["components"][name]["model"].get("attention") == "none":
        text = "It has no attention: all it knows of a sentence is the last state of its encoder."
        return [*blocks, Text(text)]
    try:
        pipe: Any = run.nlp.get_pipe(name)
    except (ValueError, OSError) as error:
        return [*blocks, Text(f"There is nothing to show: {error}", absent=True)]
    kept = pipe.attention
    pipe.attention = True
    try:
        texts = [eg.reference.text for eg in run.dev_examples(_READ)]
        short = [text for text in texts if len(run.nlp.make_doc(text)) <= _WIDEST]
        chosen = sorted(dict.fromkeys(short), key=lambda text: (-len(text), text))[:_MAPS]
        if not chosen:
            return [*blocks, Text(f"No sentence is of up to {_WIDEST} tokens.", absent=True)]
        maps = [_render(doc) for doc in run.nlp.pipe(chosen)]
    except (ValueError, OSError) as error:
        return [*blocks, Text(f"There is nothing to show: {error}", absent=True)]
    finally:
        pipe.attention = kept
    caption = Text("The source across, the translation down: the darker, the more it looked there.")
    return [*blocks, caption, Group(maps)]


def _render(doc: Doc) -> Marked:
    (best, *_) = get_attention_maps(doc)
    plain = f"{doc.text} -> {describe_map(best)}"
    return Marked(f'<div class="seqgen">{render_table(best)}</div>', plain)
