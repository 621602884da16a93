import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcond.errors import ClipcondError
from clipcond.hooks.composition import Term, compose

SHAPE = (4, 6, 5)
OPERATORS = ["AND", "AND_PERP", "AND_SALT", "AND_TOPK"]
SEED = st.integers(0, 2**32 - 1)
WEIGHT = st.sampled_from([1.0, 0.5, -1.0, 0.3, 1.7])
KINDS = st.lists(st.tuples(st.sampled_from(OPERATORS), WEIGHT), max_size=5)


def pictures(seed, count, dtype=torch.float32, shape=SHAPE):
    noise = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=noise).to(dtype) for _ in range(count)]


def made(seed, kinds, **options):
    u, *predictions = pictures(seed, len(kinds) + 1, **options)
    terms = [Term(*kind, e) for kind, e in zip(kinds, predictions, strict=True)]
    return u, terms


def softmax(x):
    return np.exp(np.abs(x)) / np.exp(np.abs(x)).sum()


def expected(u, terms):
    """The extension's and the web UI's arithmetic in float64, number by number."""
    u = u.double().numpy().ravel()
    deltas = [(t.operator, t.weight, t.prediction.double().numpy().ravel() - u) for t in terms]
    main = sum((w * d for operator, w, d in deltas if operator == "AND"), np.zeros_like(u))
    out = u + main
    for _, w, d in (x for x in deltas if x[0] == "AND_PERP"):
        length = np.sqrt((main**2).sum())
        out = out + w * (d if length == 0 else d - main / length * np.dot(main / length, d))
    salient = [(w, d) for operator, w, d in deltas if operator == "AND_SALT"]
    for place in range(u.size):
        heights = [softmax(d)[place] for d in (main, *(d for _, d in salient))]
        best = heights.index(max(heights))
        if best:
            w, d = salient[best - 1]
            out[place] += w * (d[place] - main[place])
    for _, w, d in (x for x in deltas if x[0] == "AND_TOPK"):
        smallest = sorted(np.abs(d))[int(u.size * 0.95) - 1]
        out = out + w * np.where(np.abs(d) >= smallest, d, 0)
    return torch.from_numpy(out).view(SHAPE)


@given(seed=SEED, kinds=KINDS)
def test_any_prompt_is_composed_by_the_formulas(seed, kinds):
    u, terms = made(seed, kinds, dtype=torch.float64)
    torch.testing.assert_close(compose(u, terms), expected(u, terms), rtol=1e-9, atol=1e-9)


def test_the_pipelines_own_guidance_then_gives_what_the_web_ui_has():
    u, (a, b) = made(0, [("AND", 1.0), ("AND", 0.5)], dtype=torch.float64)
    scale = 7.5
    theirs = u + (a.prediction - u) * (1.0 * scale) + (b.prediction - u) * (0.5 * scale)
    torch.testing.assert_close(u + scale * (compose(u, [a, b]) - u), theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_that_sum_to_one_leave_the_unconditional_prediction_out(dtype):
    u, e, other = pictures(1, 3, dtype)
    e[0, 0, 0] = -0.0
    for weights in ([1.0], [0.5, 0.5], [0.25, 0.75], [0.5, -0.5, 1.0], [2.0, -1.0]):
        same = compose(u, [Term("AND", weight, e) for weight in weights])
        assert torch.equal(same, e)
        if min(weights) > 0:
            assert torch.equal(same.signbit(), e.signbit())
    assert torch.equal(compose(u, [Term("AND", 1.0, e), Term("AND", 0.0, other)]), e)
    assert torch.equal(compose(u, [Term("AND", 0.0, other)]), u)
    assert torch.equal(compose(u, []), u)
    tenths = compose(torch.full_like(u, torch.inf), [Term("AND", 0.1, e)] * 10)
    torch.testing.assert_close(tenths, e)


@given(seed=SEED, kinds=KINDS, operator=st.sampled_from(["AND", "AND_PERP", "AND_TOPK"]))
def test_weight_0_changes_nothing(seed, kinds, operator):
    u, terms = made(seed, [*kinds, (operator, 0.0)])
    assert torch.equal(compose(u, terms), compose(u, terms[:-1]))


@given(seed=SEED)
def test_a_lone_salient_prompt_of_weight_0_changes_nothing_but_one_of_two_keeps_its_places(seed):
    u, (main, other, zero) = made(seed, [("AND", 1.0), ("AND_SALT", 1.0), ("AND_SALT", 0.0)])
    assert torch.equal(compose(u, [main, zero]), main.prediction)
    won = compose(u, [main, other]) != main.prediction
    left = compose(u, [main, other, zero]) != main.prediction
    assert (left <= won).all()
    assert left.sum() < won.sum()


@given(seed=SEED, weight=WEIGHT, others=st.lists(WEIGHT, max_size=2))
def test_what_the_main_prompt_has_already_adds_nothing(seed, weight, others):
    u, mains = made(seed, [("AND", w) for w in [*others, weight]])
    together = sum(t.weight * (t.prediction - u) for t in mains) + u
    for operator in ("AND_PERP", "AND_SALT"):
        with_itself = compose(u, [*mains, Term(operator, 1.7, together)])
        torch.testing.assert_close(with_itself, compose(u, mains), rtol=1e-4, atol=1e-4)


@given(seed=SEED, weight=WEIGHT)
def test_a_perpendicular_prompt_leaves_the_main_direction_alone(seed, weight):
    u, terms = made(seed, [("AND", 1.0), ("AND_PERP", weight)], dtype=torch.float64)
    main = terms[0].prediction - u
    added = compose(u, terms) - terms[0].prediction
    assert abs((added * main).sum()) < 1e-9
    assert added.norm() > 0


@given(seed=SEED, kinds=KINDS, order=st.randoms(use_true_random=False))
def test_the_order_is_no_matter(seed, kinds, order):
    u, terms = made(seed, kinds)
    shuffled = order.sample(terms, len(terms))
    torch.testing.assert_close(compose(u, shuffled), compose(u, terms), rtol=1e-4, atol=1e-5)


@given(seed=SEED)
def test_salient_prompts_divide_the_picture_among_them(seed):
    u, terms = made(seed, [("AND", 1.0), ("AND_SALT", 1.0), ("AND_SALT", 1.0)], dtype=torch.float64)
    composed = compose(u, terms)
    near = torch.stack([(composed - t.prediction).abs() < 1e-9 for t in terms])
    assert torch.equal(near.sum(0), torch.ones(SHAPE, dtype=torch.long))
    assert near.flatten(1).any(1).all()


@given(seed=SEED)
def test_salience_is_told_apart_even_where_every_softmax_but_the_peak_is_0(seed):
    _, (main, other) = made(seed, [("AND", 1.0), ("AND_SALT", 1.0)])
    far = [Term(t.operator, t.weight, 1000 * t.prediction) for t in (main, other)]
    won = compose(torch.zeros(SHAPE), far) != far[0].prediction
    below_peak = [t.prediction.abs() - t.prediction.abs().max() for t in far]
    assert torch.equal(won, below_peak[1] > below_peak[0])


@given(seed=SEED)
def test_the_largest_five_percent_are_kept(seed):
    u, terms = made(seed, [("AND_TOPK", 1.0)], shape=(4, 10, 10), dtype=torch.float64)
    delta = (terms[0].prediction - u).abs()
    kept = compose(u, terms) != u
    assert kept.sum() == 400 * 0.05 + 1  # the original keeps the one at the bound, too
    assert delta[kept].min() > delta[~kept].max()


@pytest.mark.parametrize("operator", OPERATORS)
def test_without_a_main_prompt_and_where_nothing_differs(operator):
    u, e = pictures(3, 2)
    same = [Term("AND", 1.0, u), Term(operator, -1.0, u)]
    torch.testing.assert_close(compose(u, same), u)
    alone = compose(u, [Term("AND_PERP", -0.5, e)])
    torch.testing.assert_close(alone, u - 0.5 * (e - u))
    assert torch.equal(compose(u, [Term("AND", 1.0, u), Term("AND_PERP", -0.5, e)]), alone)


@given(seed=SEED, scale=st.sampled_from([1e-42, 1e-30, 1e-12, 1e4]))
def test_a_direction_of_any_size_is_projected_out(seed, scale):
    start = torch.zeros(SHAPE)
    (direction,) = pictures(seed, 1)
    terms = [Term("AND", 1.0, direction * scale), Term("AND_PERP", 1.0, direction)]
    added = compose(start, terms) - direction * scale
    assert added.abs().max() < (0.01 if scale < 1e-38 else 1e-4 * max(1, scale))


@given(seed=SEED, kinds=KINDS, dtype=st.sampled_from([torch.float16, torch.bfloat16]))
def test_half_precision_is_float32_rounded_once(seed, kinds, dtype):
    u, terms = made(seed, kinds, dtype=dtype)
    composed = compose(100 * u, terms)
    wide = compose(
        (100 * u).float(), [Term(t.operator, t.weight, t.prediction.float()) for t in terms]
    )
    assert composed.dtype == dtype
    assert composed.isfinite().all()
    assert torch.equal(composed, wide.to(dtype))


@pytest.mark.parametrize("shape", [(1,), (2, 3), (16, 3, 4, 4), (64, 16)])
def test_a_picture_of_any_shape(shape):
    u, terms = made(5, [(operator, 0.5) for operator in OPERATORS], shape=shape)
    composed = compose(u, terms)
    assert composed.shape == shape
    assert composed.isfinite().all()


def test_what_is_no_term():
    (e,) = pictures(0, 1)
    with pytest.raises(ClipcondError, match="got 'OR'; take one of AND, AND_PERP"):
        Term("OR", 1.0, e)
    with pytest.raises(ClipcondError, match="weight of AND: got nan"):
        Term("AND", float("nan"), e)
