import math
from pathlib import Path

import pytest

from spacy_seqgen.generation import GenerationOptions
from spacy_seqgen.generation.options import options_table


@pytest.mark.parametrize(
    "name,value",
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "hot"),
        ("top_p", 0),
        ("top_p", 1.1),
        ("top_p", -1),
        ("typical_p", 0.0),
        ("min_p", 1.5),
        ("top_k", -1),
        ("top_k", 2.5),
        ("max_length", -1),
        ("max_length", True),
        ("min_length", -1),
        ("repetition_penalty", 0),
        ("no_repeat_ngram_size", -2),
        ("num_samples", 0),
        ("beam_size", 0),
        ("length_alpha", -1),
        ("beam_threshold", -1.0),
        ("beam_threshold", 1001.0),
        ("beam_threshold", float("nan")),
        ("seed", -1),
        ("stop", [""]),
        ("stop", [3]),
    ],
)
def test_bad_value_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        GenerationOptions(**{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 3, "num_samples": 4},
        {"beam_size": 3, "top_k": 5},
        {"beam_size": 3, "top_p": 0.5},
        {"beam_size": 3, "temperature": 0.5},
        {"min_length": 5, "max_length": 4},
    ],
)
def test_contradictions_name_both_options(options):
    with pytest.raises(ValueError) as error:
        GenerationOptions(**options)
    assert all(name in str(error.value) for name in options)


def test_unknown_option_names_the_known():
    with pytest.raises(ValueError, match=r"'temprature'.*temperature"):
        GenerationOptions.from_config({"temprature": 1.0})


def test_config_values_are_normalised():
    options = GenerationOptions.from_config({"temperature": 1, "stop": ["\n"]})
    assert isinstance(options.temperature, float)
    assert options.stop == ("\n",)
    assert GenerationOptions(stop="end").stop == ("end",)


def test_table_in_docs_is_up_to_date():
    docs = Path(__file__).parents[2] / "docs" / "generation.md"
    if not docs.exists():
        pytest.skip("the documentation is not beside these tests")
    assert options_table() in docs.read_text(encoding="utf8")


@pytest.mark.parametrize(
    "options,message",
    [
        ({"stop": 5}, "stop must be a string or a list"),
        ({"stop": None}, "stop must be"),
        ({"stop": {"a": 1}}, "stop must be"),
        ({"temperature": 1e300}, "temperature must be from 0 to 1000"),
        ({"length_alpha": 1e6}, "length_alpha must be from 0 to 10"),
        ({"repetition_penalty": 1e30}, "repetition_penalty must be from 0 to 1000"),
        ({"beam_size": 2, "temperature": 0.5}, "set temperature to 1, or beam_size to 1"),
    ],
)
def test_extreme_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GenerationOptions(**options)
