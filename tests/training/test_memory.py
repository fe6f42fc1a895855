"""The setting is for a whole process, so each test has one of its own."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from spacy_seqgen.models.precision import supports_bf16
from spacy_seqgen.training.memory import limit_kept_code

SCRIPT = """
import torch, resource
from spacy_seqgen.training.memory import keep_freed_memory
print(keep_freed_memory())
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(64 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


CODES = """
import torch
from spacy_seqgen.training.memory import limit_kept_code
limit_kept_code()
weight = torch.zeros(64, 64, dtype=torch.bfloat16)
for turn in range(2):
    for rows in range(2, 302):
        torch.zeros(rows, 64, dtype=torch.bfloat16) @ weight
"""


def run(**environment):
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**own, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only with glibc")
def test_freed_memory_is_used_again():
    kept, faults = run()
    assert kept
    assert faults < 1000  # 20 blocks of 64 MB have 327,680 pages


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults as Linux does")
def test_settings_of_the_user_are_respected():
    kept, _ = run(MALLOC_ARENA_MAX="2")
    assert not kept


@pytest.mark.parametrize(("capacity", "hits"), [(None, 0), ("1024", 300)])
def test_few_pieces_of_machine_code_are_kept(capacity, hits):
    if not supports_bf16(torch.device("cpu")):
        pytest.skip("oneDNN makes no code for bfloat16 on this processor")
    own = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": capacity} if capacity else {}
    environment = {**os.environ, "ONEDNN_VERBOSE": "2", **own}
    if not capacity:
        environment.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY", None)
    done = subprocess.run(
        [sys.executable, "-c", CODES], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("create:cache_miss,cpu,matmul") >= 300
    assert done.stdout.count("create:cache_hit,cpu,matmul") == hits


def test_both_caches_are_limited_unless_the_user_did(monkeypatch):
    monkeypatch.setattr(os, "environ", {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "7"})
    limit_kept_code()
    assert os.environ == {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "7", "LRU_CACHE_CAPACITY": "128"}
