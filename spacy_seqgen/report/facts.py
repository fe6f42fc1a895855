"""What the figures hang on: sizes, times, versions, seeds, hardware."""

from typing import Any

from ..training.places import weights
from .blocks import Block, Group, Heading, Table, Text
from .inputs import Inputs, Run

TITLE = "Sizes, times, versions"


def build(inputs: Inputs) -> list[Block]:
    blocks: list[Block] = []
    for run in inputs.runs:
        rows = [*_sizes(run), *_training(run)]
        table: list[Block] = [Heading(run.name), Table([], rows)]
        if run.log is None:
            table.append(Text("There is no log to tell times and hardware.", absent=True))
        blocks.append(Group(table))
    return [Group(blocks)]


def _sizes(run: Run) -> list[tuple[str, Any]]:
    files = [path for path in run.model_path.rglob("*") if path.is_file()]
    rows: list[tuple[str, Any]] = [
        ("pipeline", ", ".join(run.config["nlp"]["pipeline"])),
        ("on disk", f"{sum(path.stat().st_size for path in files) / 1e6:.2f} MB"),
    ]
    try:
        rows.append(("parameters", f"{sum(value.numel() for _, value in weights(run.nlp)):,}"))
    except (ValueError, OSError) as error:
        rows.append(("parameters", f"can't be loaded: {error}"))
    return [*rows, ("seed", str(run.config["training"]["seed"]))]


def _training(run: Run) -> list[tuple[str, Any]]:
    log = run.log
    if log is None or not log.rows:
        return []
    last = log.rows[-1]
    rows: list[tuple[str, Any]] = [("updates", f"{last['step']:,}")]
    if "seconds" in last:
        rows.append(("training time", f"{last['seconds'] / 60:.1f} minutes"))
    if last.get("speed"):
        rows.append(("speed at the end", f"{last['speed']:,.0f} {last.get('unit', '')} a second"))
    peak = last.get("peak_memory")
    if isinstance(peak, (int, float)):
        rows.append(("memory at the most", f"{peak:,.0f} MB"))
    if log.starts:
        start = log.starts[-1]
        machine = start.get("machine", {})
        rows += [
            ("begun", str(log.starts[0].get("started"))),
            ("interrupted", f"{len(log.starts) - 1} times"),
            ("processor", str(machine.get("processor"))),
            *([("GPU", str(machine["gpu"]))] if machine.get("gpu") else []),
            ("cores, threads", f"{machine.get('cores')}, {machine.get('threads')}"),
            *(start["versions"].items()),
        ]
    return rows
