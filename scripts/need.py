"""Say in one sentence which packages are missing, before a workflow begins.

python scripts/need.py sacremoses matplotlib --extra multi30k
"""

from importlib.util import find_spec
from typing import Annotated

import typer
from wasabi import msg


def main(
    modules: Annotated[list[str], typer.Argument(help="To be imported later")],
    extra: Annotated[str, typer.Option(help="Of this package, which has them")],
) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        msg.fail(f"{' and '.join(missing)} must be installed: pip install '.[{extra}]'", exits=1)


if __name__ == "__main__":
    typer.run(main)
