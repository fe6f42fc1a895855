"""Download assets of project.yml, unless they are in place.

    python scripts/fetch_assets.py assets/tinyshakespeare.txt
    python scripts/fetch_assets.py "assets/multi30k/*.en.gz" "assets/multi30k/*.de.gz"

A file that is there with the right checksum is used as it is, so that a machine without a
network only needs the files. Whatever goes wrong is one sentence, and ends the workflow;
`spacy project assets` downloads the same files, but goes on with wrong ones.
"""

import hashlib
import http.client
import shutil
import urllib.request
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from tqdm import tqdm
from wasabi import msg

_SECONDS = 30  # without an answer


class AssetError(Exception):
    """An asset is not to be had. The message says why, and what to do."""


def main(
    wanted: Annotated[
        list[str], typer.Argument(help="Assets, directories of assets (assets/sst2/), or patterns")
    ],
    project: Annotated[Path, typer.Option(help="The file that lists them")] = Path("project.yml"),
) -> None:
    """Download assets, unless they are in place."""
    try:
        listed = srsly.read_yaml(project)["assets"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg.fail(f"{project} lists no assets: {type(error).__name__}: {error}", exits=1)
    assets: list[dict[str, Any]] = []
    for name in wanted:
        found = [a for a in listed if _is_meant(a["dest"], name)]
        if not found:
            msg.fail(f"{project} lists no asset {name}", exits=1)
        assets += [asset for asset in found if asset not in assets]
    for asset in assets:
        try:
            fetched = fetch(asset, project.parent)
        except AssetError as error:
            msg.fail(str(error), exits=1)
        except OSError as error:  # of the disk: the network's are told apart
            msg.fail(f"Can't read or write {asset['dest']}: {error}", exits=1)
        msg.good(f"{'Downloaded' if fetched else 'In place:'} {asset['dest']}")


def _is_meant(dest: str, wanted: str) -> bool:
    return fnmatch(dest, wanted) or (wanted.endswith("/") and dest.startswith(wanted))


def fetch(asset: dict[str, Any], root: Path) -> bool:
    """
    asset (dict): "dest", "url" and "checksum" (MD5).
    root (Path): What "dest" is relative to.
    RETURNS (bool): Whether it had to be downloaded.
    RAISES (AssetError): If it is not in place, and can't be put there.
    """
    path, url, checksum = root / asset["dest"], asset["url"], asset["checksum"]
    if path.is_dir():
        raise AssetError(f"{path} is a folder, where a file should be. Remove it, and try again.")
    if path.exists():
        found = _checksum(path)
        if found == checksum:
            return False
        raise AssetError(
            f"{path} has the checksum {found}, but should have {checksum}: it is another file or a "
            "part of one. Delete it, and run this again to download it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    try:
        _download(url, temporary)
        found = _checksum(temporary)
        if found != checksum:
            raise AssetError(
                f"What {url} sent has the checksum {found}, not {checksum}: try again later, or "
                f"put the right file at {path}."
            )
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
    return True


def _download(url: str, path: Path) -> None:
    try:
        answer = urllib.request.urlopen(url, timeout=_SECONDS)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error) or type(error).__name__
        place = path.with_suffix("")
        raise AssetError(
            f"Can't download {url} ({reason}). Without a network, put the file at {place}; it is "
            "used if it has the right checksum."
        ) from error
    try:
        length = answer.headers.get("Content-Length") or ""
        size = int(length) if length.isdecimal() else None
        bar = tqdm.wrapattr(answer, "read", total=size, desc=path.stem, disable=None, leave=False)
        with bar as source, path.open("wb") as file:
            shutil.copyfileobj(source, file)
    except http.client.HTTPException as error:
        raise AssetError(
            f"The download of {url} broke off ({type(error).__name__}). Try again."
        ) from error
    except OSError as error:
        raise AssetError(
            f"Can't save {url} to {path}: {error}. Make room, and try again."
        ) from error


def _checksum(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


if __name__ == "__main__":
    typer.run(main)
