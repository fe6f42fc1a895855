import pytest
import torch

from spacy_seqgen.models import precision

from .util import make_nlp

torch.set_num_threads(1)  # small models: threads only get into each other's way


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run tests that take long")
    parser.addoption("--gpu", action="store_true", help="run tests that need a CUDA device")


def pytest_collection_modifyitems(config, items):
    for item in items:
        for name in ("slow", "gpu"):
            if name in item.keywords and not config.getoption(f"--{name}"):
                item.add_marker(pytest.mark.skip(reason=f"run with --{name}"))


@pytest.fixture(scope="session", autouse=True)
def without_bf16():
    """Have all processors compute alike: tests of bfloat16 ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "supports_bf16", lambda device: False)
        yield


@pytest.fixture(scope="session")
def trained_bytes():
    """A pipeline that has learned `TEXTS` well, as bytes."""
    return make_nlp(steps=80, generation={"max_length": 30}).to_bytes()


@pytest.fixture
def trained(trained_bytes):
    """That pipeline, new for each test, on top of other random weights."""
    nlp = make_nlp(["abc"], seed=99, generation={"max_length": 30})
    return nlp.from_bytes(trained_bytes)
