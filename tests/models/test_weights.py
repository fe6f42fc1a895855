import io
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spacy_seqgen.models.weights import weights_from_bytes, weights_to_bytes
from spacy_seqgen.modules.recurrent_lm import RecurrentLM


def make(seed, vocabulary=12, **options):
    torch.manual_seed(seed)
    return RecurrentLM(vocabulary, **{"embedding_size": 5, "hidden_size": 8, **options})


def assert_same(one, other):
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("tied", [False, True])
def test_round_trip_into_another_seed(tied):
    net, other = make(0, tied=tied), make(1, tied=tied)
    weights_from_bytes(other, weights_to_bytes(net))
    assert_same(net, other)
    assert (other.output.weight is other.embedding.weight) == tied


def test_tied_weights_are_stored_once():
    size = len(weights_to_bytes(make(0, vocabulary=1000, tied=True)))
    assert size < 1000 * 5 * 4 * 1.5


def test_pickles_are_refused_and_not_run(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (canary.write_text, ("x",))

    for data in (Evil(), {"a": Evil()}):
        file = io.BytesIO()
        torch.save(data, file)
        with pytest.raises(ValueError, match="pickle"):
            weights_from_bytes(make(0), file.getvalue())
    import pickle

    with pytest.raises(ValueError, match="pickle"):
        weights_from_bytes(make(0), pickle.dumps(Evil()))
    assert not canary.exists()


def hostile_headers():
    yield b""
    yield b"\0" * 7
    yield struct.pack("<Q", 2**63) + b"{}"
    yield struct.pack("<Q", 2**40) + b"{}"
    yield struct.pack("<Q", 2) + b"{}"
    yield struct.pack("<Q", 4) + b"null"
    big = b'{"x":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    yield struct.pack("<Q", len(big)) + big
    negative = b'{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}1234'
    yield struct.pack("<Q", len(negative) - 4) + negative


@pytest.mark.parametrize("data", list(hostile_headers()))
def test_hostile_files_are_refused(data):
    net = make(0)
    before = weights_to_bytes(net)
    with pytest.raises(ValueError):
        weights_from_bytes(net, data)
    assert weights_to_bytes(net) == before


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_damaged_files_never_load_by_half(data):
    net = make(0)
    good = weights_to_bytes(make(1))
    cut = data.draw(st.integers(0, len(good) - 1))
    before = weights_to_bytes(net)
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        weights_from_bytes(net, good[:cut])
    assert weights_to_bytes(net) == before


@pytest.mark.parametrize(
    "other,problem",
    [
        ({"vocabulary": 13}, r"embedding.weight has shape \(13, 5\), not \(12, 5\)"),
        ({"num_layers": 2}, "is unknown"),
        ({"cell": "gru"}, "has shape"),
        ({"hidden_size": 9}, "has shape"),
    ],
)
def test_weights_of_another_model_are_refused(other, problem):
    with pytest.raises(ValueError, match=problem):
        weights_from_bytes(make(0), weights_to_bytes(make(0, **other)))


def test_values_that_are_not_finite_are_refused():
    net = make(1)
    with torch.no_grad():
        net.output.bias[3] = torch.nan
    with pytest.raises(ValueError, match=r"output.bias.*not finite"):
        weights_from_bytes(make(0), weights_to_bytes(net))


def test_half_precision_is_refused():
    with pytest.raises(ValueError, match="float16"):
        weights_from_bytes(make(0), weights_to_bytes(make(1).half()))


def test_not_bytes():
    with pytest.raises(ValueError, match="bytes"):
        weights_from_bytes(make(0), None)


@pytest.mark.parametrize("length", range(0, 256, 4))
def test_headers_of_every_length(length):
    """The file begins with the length of its header, which must not be taken for the
    first byte of a pickle."""
    torch.manual_seed(0)
    net, other = (nn.ModuleDict({"a" * (length + 1): nn.Linear(1, 1)}) for _ in range(2))
    weights_from_bytes(other, weights_to_bytes(net))
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
