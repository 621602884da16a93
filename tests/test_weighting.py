"""The weighting modes: golden cases, laws, and the normalisations."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcond import weighting
from clipcond.errors import ClipcondError

CASES = json.loads((Path(__file__).parent / "cases" / "weighting.json").read_text())
GOLDEN = [case for case in CASES if case["mode"] in weighting.WEIGHTINGS]
MODES = list(weighting.WEIGHTINGS)
EMPTY = [490] + [491] * 11


def toy_encode(rows):
    """The toy encoder of the golden cases, float64: each state mixes what came before it."""
    ids = torch.tensor(rows, dtype=torch.float64)
    table = torch.sin((ids[..., None] + 1) * torch.tensor([0.7, 1.3, 2.1], dtype=torch.float64))
    positions = torch.arange(1, ids.shape[1] + 1, dtype=torch.float64)[:, None]
    return table + 0.5 * table.cumsum(1) / positions + 0.1 * torch.sin(positions)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['mode']}-{c['normalization']}")
def test_golden(case):
    out = weighting.weigh(
        case["mode"],
        toy_encode,
        case["tokens"],
        case["weights"],
        case["word_ids"],
        empty=EMPTY,
        mask_token=266,
        normalization=case["normalization"],
    )
    torch.testing.assert_close(
        out, torch.tensor(case["out"], dtype=torch.float64), atol=1e-8, rtol=0
    )


TOKENS = [490, 5, 6, 7, 8, 9, 491, 491, 491, 491, 491, 491]
WORDS = [0, 1, 2, 2, 3, 4, 0, 0, 0, 0, 0, 0]


def weigh(mode, content, dtype=torch.float64):
    weights = [1.0, *content, *[1.0] * 6]
    return weighting.weigh(
        mode, lambda rows: toy_encode(rows).to(dtype), TOKENS, weights, WORDS, empty=EMPTY
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_all_weights_one_changes_nothing(mode, dtype):
    assert torch.equal(weigh(mode, [1.0] * 5, dtype), toy_encode([TOKENS])[0].to(dtype))


@pytest.mark.parametrize("mode", MODES)
@given(weights=st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5))
def test_finite_and_untouched_positions_are_bit_equal(mode, weights):
    weights[2] = 1.0
    for dtype in (torch.float32, torch.float16):
        out = weigh(mode, weights, dtype)
        plain = toy_encode([TOKENS])[0].to(dtype)
        assert out.dtype == dtype
        assert out.isfinite().all()
        assert torch.equal(out[3], plain[3])
        assert torch.equal(out[6:], plain[6:])


@given(a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-2, 2))
def test_comfy_fragments_are_independent(a, b, c):
    one, other = weigh("comfy", [a, b, 1.0, 1.0, 1.0]), weigh("comfy", [a, c, 1.0, 1.0, 1.0])
    assert torch.equal(one[1], other[1])


def test_comfy_is_the_empty_prompt_at_zero_and_continuous_at_one():
    assert torch.equal(weigh("comfy", [0.0] * 5)[1:6], toy_encode([EMPTY])[0][1:6])
    near = weigh("comfy", [1 + 1e-9] * 5) - weigh("comfy", [1.0] * 5)
    assert near.abs().max() < 1e-8


def test_none_ignores_weights():
    assert torch.equal(weigh("none", [5.0] * 5), weigh("none", [1.0] * 5))


def test_comfy_asks_for_the_empty_row_only_when_a_weight_acts():
    comfy = weighting.WEIGHTINGS["comfy"]
    assert comfy.variants((1, 2), (1.0, 1.0), (1, 9)) == ((1, 2),)
    assert comfy.variants((1, 2), (1.0, 1.5), (1, 9)) == ((1, 2), (1, 9))


def test_unknown_names_are_errors_naming_the_known():
    with pytest.raises(ClipcondError, match="no weighting 'compel'; there are comfy, none"):
        weighting.weigh("compel", toy_encode, TOKENS, [1.0] * 12, WORDS, empty=EMPTY)
    with pytest.raises(ClipcondError, match="no normalization 'max'"):
        weighting.weigh(
            "comfy", toy_encode, TOKENS, [1.0] * 12, WORDS, empty=EMPTY, normalization="max"
        )
    with pytest.raises(ValueError, match="one length"):
        weighting.weigh("comfy", toy_encode, TOKENS, [1.0], WORDS, empty=EMPTY)
