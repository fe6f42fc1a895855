"""For mkdocs: files of the repository that the pages link to become part of the site."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"\]\((?:\.\./)+((?:configs/)?[\w.]+\.(?:cfg|yml))\)")


def on_files(files: Files, config: Any) -> Files:
    for path in [*sorted((ROOT / "configs").glob("*.cfg")), ROOT / "setup.cfg"]:
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, f"files/{name}.txt", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    up = "../" * page.file.src_uri.count("/")
    return _LINK.sub(lambda link: f"]({up}files/{link[1]}.txt)", markdown)
