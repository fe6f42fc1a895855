"""Sections as a page of HTML or as Markdown."""

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..visualize.captions import STYLE as CAPTION_STYLE
from ..visualize.html import STYLE as ATTENTION_STYLE
from ..visualize.page import make_page
from ..visualize.svg import to_svg
from .blocks import Block, Group, Heading, Marked, Picture, Sample, Section, Table, Text

_HUGE = 1e12  # in digits, too long for a page


def render_html(title: str, sections: Sequence[Section]) -> str:
    """One page that needs nothing but itself."""
    anchors = [re.sub(r"\W+", "-", section.title.lower()) for section in sections]
    links = "".join(
        f'<li><a href="#{anchor}">{html.escape(section.title)}</a></li>'
        for anchor, section in zip(anchors, sections, strict=True)
    )
    parts = [
        f"<style>{ATTENTION_STYLE}{CAPTION_STYLE}</style><nav><ul>{links}</ul></nav>",
        "<main>",
    ]
    for anchor, section in zip(anchors, sections, strict=True):
        inner = "\n".join(map(_to_html, section.blocks))
        parts.append(
            f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{html.escape(section.title)}'
            f"</h2>\n{inner}\n</section>"
        )
    return make_page(title, "\n".join([*parts, "</main>"]))


def _to_html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h3>{html.escape(text)}</h3>"
        case Text(text, absent):
            kind = "absent" if absent else "text"
            return f'<p class="{kind}">{html.escape(text)}</p>'
        case Sample(prompt, text):
            return f'<div class="sample"><b>{html.escape(prompt)}</b>{html.escape(text)}</div>'
        case Picture(figure, description, caption):
            try:
                svg = to_svg(figure, description)
            except Exception as error:  # of any kind: matplotlib's are not told in advance
                return _to_html(_undrawn(error))
            return f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"
        case Marked(content, _):
            return content
        case Group(blocks):
            inner = "".join(f"<div>{_to_html(item)}</div>" for item in blocks)
            nested = any(isinstance(item, Heading) for item in blocks)
            return inner if nested else f'<div class="grid">{inner}</div>'
        case Table():
            return _table(block)
    raise TypeError(f"Not a block of a report: {block!r}")


def _undrawn(error: Exception) -> Text:
    return Text(f"This can't be drawn: {type(error).__name__}: {error}.", absent=True)


def _table(table: Table) -> str:
    head = "".join(f"<th{_kind(table, n)}>{_title(t)}</th>" for n, t in enumerate(table.header))
    rows = []
    for row in table.rows:
        cells = (
            f'<th scope="row">{_title(_shown(value))}</th>'
            if n == 0
            else f"<td{_kind(table, n)}>{html.escape(_shown(value))}</td>"
            for n, value in enumerate(row)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    body = "".join(rows)
    return f'<div class="wide"><table class="data">{top}<tbody>{body}</tbody></table></div>'


def _title(text: str) -> str:
    """Names of scores and trainings may be broken where their words end, and only there."""
    return re.sub(r"([_-])(?=\w)", r"\1<wbr>", html.escape(text))


def _kind(table: Table, column: int) -> str:
    values = [row[column] for row in table.rows]
    numbers = all(value is None or _is_number(value) for value in values)
    return ' class="number"' if numbers else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if abs(value) >= _HUGE:
            return f"{value:.4g}"
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if _is_number(value) else str(value)


def render_markdown(title: str, sections: Sequence[Section], path: Path) -> None:
    """Write a Markdown file, and its figures into a directory beside it.

    path (Path): The file; the directory is called the same, with "_figures".
    RAISES (OSError): If they can't be written.
    """
    pictures: list[str] = []

    def show(block: Block) -> str:
        match block:
            case Heading(text):
                return f"### {_escape(text)}"
            case Text(text, absent):
                return f"*{_escape(text)}*" if absent else _escape(text)
            case Sample(prompt, text):
                return _fence(prompt + text)
            case Marked(_, plain):
                return _fence(plain)
            case Group(blocks):
                return "\n\n".join(map(show, blocks))
            case Picture(figure, description, caption):
                folder = path.with_name(f"{path.stem}_figures")
                folder.mkdir(exist_ok=True)
                pictures.append(f"{len(pictures) + 1}.png")
                try:
                    figure.savefig(folder / pictures[-1], dpi=130)
                except OSError:  # of the disk: there is nothing to show without it
                    raise
                except Exception as error:
                    return show(_undrawn(error))
                place = f"{folder.name}/{pictures[-1]}".replace(" ", "%20")
                return f"![{_escape(description)}]({place})\n\n{_escape(caption)}"
            case Table(header, rows):
                titles = list(header) or ["", ""]
                lines = [titles, ["---"] * len(titles), *rows]
                return "\n".join(
                    "| " + " | ".join(_escape(_shown(value)) for value in line) + " |"
                    for line in lines
                )
        raise TypeError(f"Not a block of a report: {block!r}")

    parts = [f"# {_escape(title)}"]
    for section in sections:
        parts += [f"## {section.title}", *map(show, section.blocks)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf8")


def _escape(text: str) -> str:
    text = re.sub(r"\s*\n\s*", " ", text)
    return text if set(text) <= {"-"} else re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)


def _fence(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
