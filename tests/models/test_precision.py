import pytest
import torch

from spacy_seqgen.models import precision
from spacy_seqgen.models.precision import (
    check_precision,
    computing_in,
    full_precision,
    prefers_bf16,
    resolve_precision,
    supports_bf16,
)

CPU = torch.device("cpu")


def autocast_dtype():
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


def test_unknown_precision():
    with pytest.raises(ValueError, match="fp16"):
        check_precision("fp16")


@pytest.mark.parametrize(
    "setting,native,faster,expected",
    [
        ("fp32", True, True, None),
        ("auto", True, True, torch.bfloat16),
        ("auto", True, False, None),
        ("bf16", True, True, torch.bfloat16),
        ("bf16", True, False, torch.bfloat16),
        ("fp32", False, False, None),
        ("auto", False, False, None),
    ],
)
def test_autocast_is_on_inside_and_restored(monkeypatch, setting, native, faster, expected):
    monkeypatch.setattr(precision, "supports_bf16", lambda device: native)
    monkeypatch.setattr(precision, "prefers_bf16", lambda device: faster)
    assert autocast_dtype() is None
    resolved = resolve_precision(setting, CPU)
    with computing_in(resolved, CPU):
        assert autocast_dtype() == expected
    assert autocast_dtype() is None
    with pytest.raises(RuntimeError), computing_in(resolved, CPU):
        raise RuntimeError
    assert autocast_dtype() is None


def test_bf16_without_hardware_warns_and_computes_in_fp32(monkeypatch):
    monkeypatch.setattr(precision, "supports_bf16", lambda device: False)
    with pytest.warns(UserWarning, match="no bfloat16"):
        assert resolve_precision("bf16", CPU) == "fp32"


def test_full_precision_inside_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with full_precision(CPU):
            assert autocast_dtype() is None
        assert autocast_dtype() is torch.bfloat16


def test_supports_bf16_answers():
    assert supports_bf16(CPU) in (True, False)
    assert supports_bf16(torch.device("meta")) is False


@pytest.mark.parametrize(
    "native,name,amx,expected",
    [
        (True, "Intel(R) Xeon(R) Processor", False, False),
        (True, "Intel(R) Xeon(R) Processor", True, True),
        (True, "Intel64 Family 6 Model 143 Stepping 8, GenuineIntel", False, False),
        (True, "AMD EPYC 9B45", False, True),
        (False, "AMD EPYC 9B45", False, False),
    ],
)
def test_bf16_is_preferred_where_it_is_the_faster(monkeypatch, native, name, amx, expected):
    monkeypatch.setattr(precision, "supports_bf16", lambda device: native)
    monkeypatch.setattr(precision, "processor_name", lambda: name)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert prefers_bf16(CPU) is expected
    assert prefers_bf16(torch.device("cuda")) is native
