"""Write the reference of all settings, docs/settings.md, from the code: names and defaults from the
signatures and configs, types and descriptions from the docstrings.

python scripts/make_settings_page.py docs/settings.md
"""

import inspect
import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import typer
from make_api_page import escape
from spacy.language import Language

from spacy_seqgen.generation.options import options_table

# Groups of entry points, and what a config calls them.
KINDS = {
    "spacy_factories": "Components",
    "spacy_architectures": "Architectures (`@architectures`)",
    "spacy_misc": "Vocabularies, encoders, pictures (`@misc`)",
    "spacy_readers": "Readers (`@readers`)",
    "spacy_batchers": "Batchers (`@batchers`)",
    "thinc_schedules": "Schedules (`@schedules`)",
    "spacy_loggers": "Loggers (`@loggers`)",
    "spacy_scorers": "Scorers (`@scorers`)",
}
_NAMES = r"[a-z_]\w*(?:, [a-z_]\w*)* \([^()]+(?:\([^()]*\)[^()]*)*\)"
_ENTRY = re.compile(rf"({_NAMES}(?:, {_NAMES})*): ?(.*)")
_TOP = (
    "# All settings\n\nEverything that a config can name, with its settings, written from the code "
    "by\n`python scripts/make_settings_page.py docs/settings.md`. What they are for is on the "
    "pages before.\n"
)


def main(output: Path) -> None:
    output.write_text(make_page(), encoding="utf8")


def make_page() -> str:
    parts = [_TOP]
    found = distribution("spacy-seqgen").entry_points
    for group, title in KINDS.items():
        parts.append(f"## {title}\n")
        for entry in found.select(group=group):
            function = entry.load()
            defaults = _defaults(entry.name, function)
            parts += _describe(entry.name, function, defaults)
    parts.append("## `generation`\n\nThe block of that name in a component.\n")
    parts.append(options_table() + "\n")
    return "\n".join(parts)


def _defaults(name: str, function: Any) -> dict[str, Any]:
    """The settings, and what they are if a config has nothing else; `...` if it has to."""
    parameters = inspect.signature(function).parameters.values()
    if name in Language.factories:  # whose defaults are a config
        config = Language.get_factory_meta(name).default_config or {}
        names = [p.name for p in parameters if p.name not in ("nlp", "name")]
        return {name: config.get(name, ...) for name in names}
    return {p.name: ... if p.default is p.empty else p.default for p in parameters}


def _describe(name: str, function: Any, defaults: dict[str, Any]) -> Iterator[str]:
    summary, entries = read_docstring(inspect.getdoc(function) or "")
    summary = re.sub(r"\s*Registered as\s+`[^`]*`\s*\([^)]*\)\.|\s*See `\w+`\.", "", summary)
    made = inspect.signature(function).return_annotation
    if inspect.isclass(made) and not entries:  # what the function only makes
        described, entries = read_docstring(inspect.getdoc(made) or "")
        summary = summary.strip() or described
    yield f"### {name.removeprefix('spacy-seqgen.')}\n"
    yield escape(summary.strip()) + "\n"
    if defaults:
        yield _table(defaults, entries)


def read_docstring(text: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """What comes before the entries; and of each its type and description."""
    summary: list[str] = []
    entries: dict[str, tuple[str, str]] = {}
    names: list[str] = []
    for line in text.splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry:
            names = []
            for part in re.findall(_NAMES, entry.group(1)):
                shared, kind = part[:-1].split(" (", 1)
                names += shared.split(", ")
                entries |= dict.fromkeys(shared.split(", "), (kind, entry.group(2)))
        elif names and line.startswith(" "):
            for name in names:
                kind, said = entries[name]
                entries[name] = kind, f"{said} {line.strip()}"
        else:
            names = []
            if not entries and not line.startswith("RETURNS"):
                summary.append(line)
    return "\n".join(summary).strip().split("\n\n")[0].replace("\n", " "), entries


def _table(defaults: dict[str, Any], entries: dict[str, tuple[str, str]]) -> str:
    rows = ["| Setting | Type | Default | Description |", "| --- | --- | --- | --- |"]
    for name, value in defaults.items():
        kind, said = entries.get(name, ("?", "MISSING"))
        shown = "" if value is ... else f"`{_show(value)}`"
        kind, said = kind.replace("|", "\\|"), said.replace("|", "\\|")  # pipes end cells
        rows.append(f"| `{name}` | `{kind}` | {shown} | {escape(said)} |")
    return "\n".join(rows) + "\n"


def _show(value: Any) -> str:
    """As a config has it."""
    if isinstance(value, dict):
        block = next((value[key] for key in value if key.startswith("@")), None)
        return str(block) if block else ("{}" if not value else "see below")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_show, value))}]"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


if __name__ == "__main__":
    typer.run(main)
