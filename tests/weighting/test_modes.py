"""The weighting modes: golden cases, an independent transcription, the laws, and the normalisations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from clipcond import weighting
from clipcond.errors import ClipcondError, WeightingWarning
from clipcond.tokens import Chunk
from tests.cases import cases
from tests.weighting import transcription

CASES = cases("weighting")
NAMES = {"A1111": "a1111", "compel": "advanced_compel"}  # the golden cases' own names
MODES = list(weighting.MODES)
EMPTY = [490] + [491] * 11
ATTENDING = ("compel", "attention_bias")  # modes that act on attention


def toy_encode(rows, attention=None):
    """The toy encoder of the golden cases, float64: each state mixes what came before it, as far as attended to."""
    ids = torch.tensor(rows, dtype=torch.float64)
    table = torch.sin((ids[..., None] + 1) * torch.tensor([0.7, 1.3, 2.1], dtype=torch.float64))
    positions = torch.arange(1, ids.shape[1] + 1, dtype=torch.float64)[:, None]
    shares = torch.ones_like(ids) if attention is None else torch.tensor(attention).double()
    before = (shares[..., None] * table).cumsum(1) / shares.cumsum(1)[..., None]
    return table + 0.5 * before + 0.1 * torch.sin(positions)


def named(case):
    return NAMES.get(case["mode"], case["mode"])


def _id(case):
    return f"{case['mode']}-{case['normalization']}"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_the_transcription_computes_the_golden_cases(case):
    row = (named(case), case["normalization"], case["tokens"], case["weights"], case["word_ids"])
    out = transcription.weighted(*row, EMPTY, numpy_2=True)
    np.testing.assert_allclose(out, case["out"], atol=1e-8, rtol=0)


def ours(mode, normalization, tokens, weights, word_ids):
    return weighting.weigh(
        mode,
        toy_encode,
        tokens,
        weights,
        word_ids,
        empty=EMPTY,
        mask_token=transcription.MASK,
        normalization=normalization,
    )


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_golden(case):
    """Every golden case, but where its program masks BOS instead of the words: there, what it means to compute."""
    row = (named(case), case["normalization"], case["tokens"], case["weights"], case["word_ids"])
    meant = transcription.weighted(*row, EMPTY)
    with_fault = transcription.weighted(*row, EMPTY, numpy_2=True)
    target = case["out"] if np.array_equal(meant, with_fault) else meant
    np.testing.assert_allclose(ours(*row).numpy(), target, atol=1e-8, rtol=0)


TOKENS = [490, 5, 6, 7, 8, 9, 491, 491, 491, 491, 491, 491]
WORDS = [0, 1, 2, 2, 3, 4, 0, 0, 0, 0, 0, 0]


TRANSCRIBED = [mode for mode in MODES if mode not in ATTENDING]
WEIGHT = st.floats(-3, 3).map(lambda w: round(w, 3))


def weigh(mode, content, dtype=torch.float64):
    """`content`: a weight for each of the words 1 to 4; word 2 has two tokens."""
    a, b, c, d = map(float, content)
    return weighting.weigh(
        mode,
        lambda *rows: toy_encode(*rows).to(dtype),
        TOKENS,
        [1.0, a, b, b, c, d, *[1.0] * 6],
        WORDS,
        empty=EMPTY,
        mask_token=transcription.MASK,
    )


@pytest.mark.parametrize("mode", TRANSCRIBED)
@given(
    content=st.tuples(WEIGHT, WEIGHT, WEIGHT, WEIGHT),
    normalization=st.sampled_from(weighting.NORMALIZATIONS),
)
def test_every_mode_equals_its_transcription(mode, content, normalization):
    a, b, c, d = map(float, content)
    weights = [1.0, a, b, b, c, d, *[1.0] * 6]
    if mode == "a1111":  # divides by a mean
        plain = transcription.weighted(
            "a1111_no_norm", normalization, TOKENS, weights, WORDS, EMPTY
        )
        assume(abs(plain.mean()) > 0.01)
    expected = transcription.weighted(mode, normalization, TOKENS, weights, WORDS, EMPTY)
    out = ours(mode, normalization, TOKENS, weights, WORDS).numpy()
    np.testing.assert_allclose(out, expected, atol=1e-9, rtol=1e-7)


def test_compel_is_its_formula():
    """conditioning: B + sum of c_f B without f, over 1 + sum of c_f; c = tan((1 - w) pi / 2)."""
    weights = {1: 0.7, 2: 1.3, 3: 0.5, 4: 1.0}
    w = torch.tensor([1.0, *(weights[f] for f in WORDS[1:6]), *[1.0] * 6]).double()[:, None]
    e = toy_encode([EMPTY])[0]

    def lerped(attention=None):
        return e + w * (toy_encode([TOKENS], attention)[0] - e)

    out, total = lerped(), 1.0
    for fragment in (1, 3):
        c = math.tan((1 - weights[fragment]) * math.pi / 2)
        out, total = out + c * lerped([[float(f != fragment) for f in WORDS]]), total + c
    torch.testing.assert_close(weigh("compel", weights.values()), out / total, atol=1e-6, rtol=0)


def test_attention_bias_attends_less_and_masks_at_zero():
    plain = toy_encode([TOKENS])[0]
    half = toy_encode([TOKENS], [[1, 0.5, 1, 1, 1, 1, *[1] * 6]])[0]
    assert torch.equal(weigh("attention_bias", (0.5, 1, 1, 1)), half)
    assert torch.equal(weigh("attention_bias", (1, 1, 1, 1)), plain)
    with pytest.raises(ClipcondError, match=r"the weight -0.1 is below 0"):
        weigh("attention_bias", (-0.1, 1, 1, 1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_all_weights_one_changes_nothing(mode, dtype):
    assert torch.equal(weigh(mode, [1.0] * 4, dtype), toy_encode([TOKENS])[0].to(dtype))


@pytest.mark.parametrize("mode", MODES)
@given(content=st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4))
@pytest.mark.filterwarnings("ignore:a1111")
def test_finite_in_the_dtype_of_the_states(mode, content):
    least = weighting.MODES[mode].least
    content = [max(w, least) for w in content]
    out = weigh(mode, content, torch.float32)
    assert out.dtype == torch.float32
    assert out.isfinite().all()


def test_a1111_falls_back_where_the_mean_vanishes_and_says_so():
    states = torch.tensor([[[1.0, 1.0], [1.0, 3.0]]])
    mixture = weighting.Mixture(
        (weighting.Row((1, 2)),), ((2.0, -1.0),), restore_mean=True
    )  # 2 + 2 - 1 - 3 = 0
    with pytest.warns(WeightingWarning, match="mean near zero"):
        out = weighting.mix(states, mixture)
    assert torch.equal(out, torch.tensor([[2.0, 2.0], [-1.0, -3.0]]))
    assert [m for m in MODES if not weighting.MODES[m].always_finite] == ["a1111"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("word", [0, 1, 3])
def test_continuous_at_one(mode, word):
    for step in (1e-7, -1e-7):
        content = [1.0] * 4
        content[word] += step
        change = weigh(mode, content) - toy_encode([TOKENS])[0]
        assert change.abs().max() < 1e-5


@pytest.mark.parametrize("mode", [m for m in MODES if weighting.MODES[m].independent])
@given(a=st.floats(0, 2), b=st.floats(0, 2), c=st.floats(0, 2))
def test_independent_fragments(mode, a, b, c):
    """The weight of word 3 moves no state of words 1 and 2 before it (nor any other, but through attention)."""
    one, other = weigh(mode, [a, b, 1.0, 1.0]), weigh(mode, [a, b, c, 1.0])
    assert torch.equal(one[:4], other[:4])
    if mode != "attention_bias":
        assert torch.equal(one[5:], other[5:])


@pytest.mark.parametrize("mode", [m for m in MODES if not weighting.MODES[m].independent])
def test_the_other_modes_do_couple_fragments(mode):
    moved = (
        weigh(mode, [0.5, 1.0, 1.0, 1.0]) if mode != "down_weight" else weigh(mode, [2, 1, 1, 1])
    )
    assert not torch.equal(moved[5], toy_encode([TOKENS])[0, 5])


@pytest.mark.parametrize("mode", MODES)
@given(content=st.lists(st.floats(0, 2), min_size=4, max_size=4))
def test_positions_of_coefficients_one_and_zero_are_bit_equal(mode, content):
    content[1] = 1.0
    if mode in ("comfy", "a1111_no_norm", "none"):
        for dtype in (torch.float32, torch.float16):
            assert torch.equal(weigh(mode, content, dtype)[2], toy_encode([TOKENS])[0, 2].to(dtype))


def test_comfy_is_the_empty_prompt_at_zero():
    assert torch.equal(weigh("comfy", [0.0] * 4)[1:6], toy_encode([EMPTY])[0][1:6])


def windows(*weights):
    """Windows of five ids: BOS, three words of those weights, EOS; fragments counted on."""
    return [
        Chunk(
            (490, 5, 6, 7, 491), (1.0, *map(float, row), 1.0), (0, *range(3 * n + 1, 3 * n + 4), 0)
        )
        for n, row in enumerate(weights)
    ]


def test_rows_are_only_those_that_a_window_needs():
    """Four windows with six down-weights between two of them: ten rows, where compel encodes 28 times."""
    chunks = windows((0.5, 0.6, 0.7), (1, 1, 1), (1, 1, 1), (0.5, 0.6, 0.7))
    chunks = [
        Chunk((490, n, 6, 7, 491), c.weights, c.fragments) for n, c in enumerate(chunks, start=10)
    ]
    found = weighting.MODES["compel"].mixtures(chunks, (490, 491, 491, 491, 491), 266)
    rows = {row for mixture in found for row in mixture.rows} - {weighting.Row((490, *[491] * 4))}
    assert len(rows) == 10
    assert [len(m.rows) for m in found] == [5, 1, 1, 5]


def test_windows_of_one_prompt_share_their_down_weights():
    """In compel the share of a fragment is one of all fragments of the prompt, wherever they stand."""
    alone, together = (
        weighting.MODES["compel"].mixtures(chunks, (490, *[491] * 4), 266)[0]
        for chunks in (windows((0.5, 1, 1)), windows((0.5, 1, 1), (0.5, 1, 1)))
    )
    assert alone.coefficients[1][2] == pytest.approx(1 / 2)
    assert together.coefficients[1][2] == pytest.approx(1 / 3)


def test_none_ignores_weights():
    assert torch.equal(weigh("none", [5.0] * 4), weigh("none", [1.0] * 4))


def test_unknown_names_and_missing_masks_are_errors():
    with pytest.raises(ClipcondError, match="no weighting 'compell'; there are a1111, "):
        weighting.weigh("compell", toy_encode, TOKENS, [1.0] * 12, WORDS, empty=EMPTY)
    with pytest.raises(ClipcondError, match="no normalization 'max'"):
        weighting.weigh(
            "comfy", toy_encode, TOKENS, [1.0] * 12, WORDS, empty=EMPTY, normalization="max"
        )
    with pytest.raises(ValueError, match="one length"):
        weighting.weigh("comfy", toy_encode, TOKENS, [1.0], WORDS, empty=EMPTY)
    with pytest.raises(ValueError, match="'comfy\\+\\+' masks words here: pass mask_token"):
        weighting.weigh("comfy++", toy_encode, TOKENS, [1.0, 0.5, *[1.0] * 10], WORDS, empty=EMPTY)
