"""Calls of several threads on one pipeline: each gives what it gives alone, and nothing stays changed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from clipcond import Conditioner, EmbeddingCache
from clipcond.encoders.inversion import FIRST_VECTOR, injected
from clipcond.encoders.lora_scale import lora_scaled
from clipcond.encoders.threads import uncompiled
from clipcond.identity import fingerprint
from tests import doubles as tiny
from tests.encoders.pipes import eight_bits, moss, sequential, with_lora

PROMPT = "a (red:1.3) moss cat"
SECONDS = 60  # until a test that hangs is one that failed


def scalings(pipe):
    found = [part.scaling for part in pipe.text_encoder.modules() if hasattr(part, "scaling")]
    return [(type(scaling), dict(scaling)) for scaling in found]


def together(calls, meeting=None):
    """What calls give in threads of their own; with a module as meeting point, all inside its forward at once."""
    barrier = threading.Barrier(len(calls), timeout=SECONDS)

    def meet(*_):
        barrier.wait()

    def run(call):
        if meeting is None:
            meet()
        return call()

    waits = meeting and meeting.register_forward_pre_hook(meet)

    with ThreadPoolExecutor(len(calls)) as pool:
        results = [f.result(SECONDS) for f in [pool.submit(run, call) for call in calls]]
    if waits is not None:
        waits.remove()
    return results


def embeds(conditioner, prompt=PROMPT, **options):
    return lambda: conditioner(prompt, **options).prompt_embeds


def own(pipe, text="a red cat"):
    """As the pipeline's own encode_prompt calls the encoder."""
    ids = pipe.tokenizer(text, padding="max_length", return_tensors="pt").input_ids

    def call():
        with torch.no_grad():
            return pipe.text_encoder(ids).last_hidden_state

    return call


def check_as_alone(calls, meeting=None):
    alone = [call() for call in calls]
    for ours, expected in zip(together(calls, meeting), alone, strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.pitfall(39)
def test_an_inversion_is_none_of_the_other_threads_business():
    pipe = tiny.sd1()
    plain = Conditioner.from_pipeline(pipe)
    calls = [
        embeds(plain),
        embeds(plain.with_inversions(moss())),
        embeds(plain.with_inversions(moss(2.0)), "moss"),
        own(pipe),
    ]
    table = pipe.text_encoder.get_input_embeddings()
    check_as_alone(calls, meeting=table)
    assert not table._forward_hooks


@pytest.mark.pitfall(38)
def test_each_thread_has_its_own_lora_scale_and_the_layers_keep_theirs():
    pipe = with_lora(tiny.sd1())
    before = scalings(pipe)
    conditioner = Conditioner.from_pipeline(pipe)
    calls = [
        embeds(conditioner, lora_scale=0.2),
        embeds(conditioner, lora_scale=0.7),
        embeds(conditioner),
        own(pipe),
    ]
    check_as_alone(calls, meeting=pipe.text_encoder.get_input_embeddings())
    assert scalings(pipe) == before


@pytest.mark.pitfall(38)
@pytest.mark.parametrize("first", [0, 1])
def test_whoever_leaves_first_the_last_puts_back_what_was_there(first):
    pipe = with_lora(tiny.sd1())
    layer = next(part for part in pipe.text_encoder.modules() if hasattr(part, "scaling"))
    original, before = layer.scaling, dict(layer.scaling)
    inside, left = threading.Barrier(2, timeout=SECONDS), threading.Event()

    def call(number):
        with lora_scaled([pipe.text_encoder], (0.2, 0.7)[number]):
            inside.wait()
            read = layer.scaling["default"]
            if number != first:
                assert left.wait(SECONDS)
        left.set()
        return read

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(call, [0, 1])) == [before["default"] * 0.2, before["default"] * 0.7]
    assert layer.scaling is original
    assert layer.scaling == before


def test_a_weight_set_during_a_scaled_call_is_kept():
    pipe = with_lora(tiny.sd1())
    with lora_scaled([pipe.text_encoder], 0.5):
        for part in pipe.text_encoder.modules():
            if hasattr(part, "scaling"):
                part.set_scale("default", 0.4)
    assert all(scaling == {"default": 0.4 * 3 / 2} for _, scaling in scalings(pipe))


def test_scales_beside_each_other_share_no_row_of_a_cache(tmp_path):
    pipe, cache = with_lora(tiny.sd1()), EmbeddingCache(tmp_path)
    plain, cached = Conditioner.from_pipeline(pipe), Conditioner.from_pipeline(pipe, cache=cache)
    scales = [{"lora_scale": 0.2}, {"lora_scale": 0.7}, {}]
    expected = [plain(PROMPT, **scale).prompt_embeds for scale in scales]
    meeting = pipe.text_encoder.get_input_embeddings()
    first = together([embeds(cached, **scale) for scale in scales], meeting)
    for scale, ours, right in zip(scales, first, expected, strict=True):
        again = cached(PROMPT, **scale)
        assert torch.equal(ours, right)
        assert torch.equal(again.prompt_embeds, right)
        assert again.stats.rows == 0


@pytest.mark.pitfall(39)
@pytest.mark.parametrize("change", [sequential, eight_bits])
def test_weights_that_move_during_a_forward_move_for_one_thread_at_a_time(change):
    pipe = tiny.sd1()
    change(pipe)
    plain = Conditioner.from_pipeline(pipe)
    calls = [embeds(plain), embeds(plain.with_inversions(moss())), embeds(plain, "a dog")]
    alone = [call() for call in calls]
    repeated = [lambda call=call: [call() for _ in range(8)] for call in calls]
    for ours, expected in zip(together(repeated), alone, strict=True):
        assert all(torch.equal(states, expected) for states in ours)


@pytest.mark.pitfall(39)
def test_compiled_code_comes_back_whoever_leaves_first():
    module = tiny.tiny_text_encoder()
    module.compile(backend="aot_eager")
    inside = threading.Barrier(3, timeout=SECONDS)

    def call():
        with uncompiled([module]):
            inside.wait()
            return torch._dynamo.eval_frame._stance.stance

    with ThreadPoolExecutor(3) as pool:
        found = [f.result(SECONDS) for f in [pool.submit(call) for _ in range(3)]]
    assert found == ["force_eager"] * 3
    assert torch._dynamo.eval_frame._stance.stance == "default"


def entering(pipe, how):
    ids = torch.full((1, 4), FIRST_VECTOR)
    if how == "inversion":
        return injected(pipe.text_encoder, ids, torch.ones(1, 32))
    return lora_scaled([pipe.text_encoder], 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["inversion", "lora scale"])
def test_nothing_changes_while_another_thread_compiles(how):
    # a backend is called after the module was traced and before torch writes down what the code depends on
    pipe = with_lora(tiny.sd1())
    inside, early = threading.Event(), []

    def enter():
        with entering(pipe, how):
            inside.set()

    other = threading.Thread(target=enter)

    def backend(graph, _inputs):
        if not early:
            other.start()
        early.append(inside.wait(0.5))
        return graph.forward

    pipe.text_encoder.compile(backend=backend)
    own(pipe)()
    other.join(SECONDS)
    assert inside.is_set()
    assert early
    assert not any(early)


@pytest.mark.slow
def test_compiled_encoders_in_several_threads():
    pipe = with_lora(tiny.sd1())
    plain = Conditioner.from_pipeline(pipe)
    calls = [
        embeds(plain),
        embeds(plain.with_inversions(moss())),
        embeds(plain, lora_scale=0.2),
        own(pipe),
    ]
    alone = [call() for call in calls]
    pipe.text_encoder.compile(backend="aot_eager")
    for ours, expected in zip(together(calls), alone, strict=True):
        assert torch.allclose(ours, expected, atol=1e-5)


def test_a_cache_serves_many_threads(tmp_path):
    pipe = tiny.sd1()
    texts = [" ".join(["cat"] * n) for n in range(1, 7)]
    alone = {text: Conditioner.from_pipeline(pipe)(text).prompt_embeds for text in texts}
    row = 77 * 32 * 4 + 32 * 4
    cached = Conditioner.from_pipeline(pipe, cache=EmbeddingCache(tmp_path, memory=2 * row))
    rounds = [texts[n:] + texts[:n] for n in range(4)]
    asked = [
        lambda own=own: [(text, cached(text).prompt_embeds) for text in own * 2] for own in rounds
    ]
    for answers in together(asked):
        assert all(torch.equal(ours, alone[text]) for text, ours in answers)


def test_first_use_in_many_threads():
    pipe = tiny.sd1()
    conditioner = Conditioner.from_pipeline(pipe).with_inversions(moss())
    results = together(
        [lambda: (fingerprint(pipe.text_encoder), conditioner(PROMPT).prompt_embeds)] * 6
    )
    assert all(found[0] == results[0][0] for found in results)
    assert all(torch.equal(found[1], results[0][1]) for found in results)
