"""Write the API reference, docs/api.md, from the docstrings.

python scripts/make_api_page.py docs/api.md
"""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import typer

# What users call from Python. Registered functions are in the tables of the other pages.
NAMES = {
    "Components": [
        "spacy_seqgen.pipeline.text_generator.TextGenerator",
        "spacy_seqgen.pipeline.translator.Translator",
        "spacy_seqgen.pipeline.captioner.ImageCaptioner",
        "spacy_seqgen.attribution.CatsExplainer",
    ],
    "Results": [
        "spacy_seqgen.outputs.Continuation",
        "spacy_seqgen.translations.Translation",
        "spacy_seqgen.captions.Caption",
    ],
    "Generation": [
        "spacy_seqgen.generation.GenerationOptions",
        "spacy_seqgen.generation.Search",
        "spacy_seqgen.generation.Symbols",
        "spacy_seqgen.generation.reweight_distribution",
    ],
    "Vocabularies": [
        "spacy_seqgen.vocabularies.Vocabulary",
        "spacy_seqgen.vocabularies.Characters",
        "spacy_seqgen.vocabularies.words.Words",
        "spacy_seqgen.vocabularies.subwords.Subwords",
    ],
    "Attention and other pictures": [
        "spacy_seqgen.modules.attention.Attention",
        "spacy_seqgen.visualize.AttentionMap",
        "spacy_seqgen.visualize.get_attention_maps",
        "spacy_seqgen.visualize.render",
        "spacy_seqgen.visualize.serve",
        "spacy_seqgen.visualize.draw_figure",
        "spacy_seqgen.visualize.save_figure",
        "spacy_seqgen.visualize.save_caption",
    ],
    "Training": [
        "spacy_seqgen.training.run.run_training",
        "spacy_seqgen.training.log.TrainingLog",
        "spacy_seqgen.training.log.read_log",
        "spacy_seqgen.training.log.find_logs",
        "spacy_seqgen.visualize.curves.draw_curves",
        "spacy_seqgen.report.make_report",
    ],
}
_ENTRY = re.compile(
    r"(RETURNS|RAISES|YIELDS|[*\w][*\w, ]*(?: \([^()]*\), [*\w]+)*) \((.+?)\): ?(.*)"
)
_TOP = (
    "# API\n\nWhat there is to call from Python, from the docstrings; "
    "`python scripts/make_api_page.py\ndocs/api.md` writes this page. What a config can name is "
    "in the tables of the other pages.\n"
)


def main(output: Path) -> None:
    output.write_text(make_page(), encoding="utf8")


def make_page() -> str:
    parts = [_TOP]
    for title, names in NAMES.items():
        parts.append(f"## {title}\n")
        for name in names:
            module, _, attribute = name.rpartition(".")
            parts.extend(_describe(name, getattr(importlib.import_module(module), attribute)))
    return "\n".join(parts)


def _describe(name: str, item: Any) -> list[str]:
    label = name.rpartition(".")[2]
    parts = [f"### {label}\n", f"`{name}{_signature(item)}`\n", _format(inspect.getdoc(item))]
    if inspect.isclass(item):
        for key, value in vars(item).items():
            function = value.fget if isinstance(value, property) else value
            if key.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
                continue
            shown = "" if isinstance(value, property) else _signature(function)
            parts += [f"#### {label}.{key}\n", f"`{key}{shown}`\n", _format(inspect.getdoc(value))]
    return parts


def _signature(item: Any) -> str:
    """Names and defaults; the types are in the docstring."""
    shown = []
    for parameter in inspect.signature(item).parameters.values():
        if parameter.name == "self":
            continue
        name = str(parameter.replace(annotation=parameter.empty, default=parameter.empty))
        default = parameter.default
        known = default is not parameter.empty and "factory" not in repr(default)
        value = default.__name__ if inspect.isroutine(default) else repr(default)
        shown.append(f"{name}={value}" if known else name)
    return f"({', '.join(shown)})"


def _format(text: str | None) -> str:
    """A docstring as Markdown: its entries, `name (type): what`, become a list."""
    lines: list[str] = []
    inside = False
    for line in (text or "").splitlines():
        if line.startswith("DOCS: "):
            continue
        entry = _ENTRY.fullmatch(line)
        if entry:
            name, kind, rest = entry.groups()
            if not inside and lines and lines[-1]:
                lines.append("")
            shown = f"**{name.lower()}**" if name.isupper() else f"`{name}`"
            lines.append(f"- {shown} (`{kind}`): {escape(rest)}")
            inside = True
        elif inside and line.startswith(" "):
            lines.append(f"  {escape(line.strip())}")
        else:
            inside = False
            lines.append(escape(line.strip()))
    return "\n".join(lines).strip() + "\n"


def escape(line: str) -> str:
    """Brackets and angles outside of code are text."""
    parts = re.split(r"(`[^`]*`|https?://\S+[\w/])", line)
    for n, part in enumerate(parts):
        if n % 2 == 0:
            parts[n] = re.sub(r"([*_<>\[\]])", r"\\\1", part)
        elif part.startswith("http"):
            parts[n] = f"<{part}>"
    return "".join(parts)


if __name__ == "__main__":
    typer.run(main)
