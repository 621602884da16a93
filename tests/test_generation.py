"""generate: one seed one picture, one encoding, honest provenance, and nothing done for nonsense."""

import json

import numpy as np
import pytest
import torch
from diffusers import HeunDiscreteScheduler, StableDiffusionPipeline
from hypothesis import given
from hypothesis import strategies as st

import clipcond
from clipcond import Region
from clipcond.errors import CircularScoreWarning, ClipcondError
from clipcond.generation import draw, plain_text
from clipcond.score import ClipScorer
from tests.tiny import save_tiny_clip, tiny_pipeline

CALL = {"num_inference_steps": 2, "guidance_scale": 3.0}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two CLIPs: seed 0 shares no text tower with the pipeline below unless a test gives it one."""
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny", seed=5)


@pytest.fixture(scope="module")
def scorer(folders):
    return ClipScorer.from_pretrained(folders)


@pytest.fixture
def pipe():
    return tiny_pipeline()


def by_seed(result):
    return {
        seed: np.asarray(image, np.int16)
        for seed, image in zip(result.seeds, result.images, strict=True)
    }


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_a_seed_is_the_same_picture_at_any_batch_size(pipe, scorer, batch_size):
    together = clipcond.generate(pipe, "a cat", scorer=scorer, candidates=5, keep=5, seed=7, **CALL)
    split = clipcond.generate(
        pipe, "a cat", scorer=scorer, candidates=5, keep=5, seed=7, batch_size=batch_size, **CALL
    )
    assert sorted(together.seeds) == sorted(split.seeds) == [7, 8, 9, 10, 11]
    for seed, picture in by_seed(together).items():
        assert np.abs(picture - by_seed(split)[seed]).max() <= 1


def test_a_seed_is_the_pipelines_own_picture(pipe, scorer):
    result = clipcond.generate(pipe, "a cat", scorer=scorer, candidates=2, keep=2, seed=3, **CALL)
    for seed, picture in by_seed(result).items():
        own = pipe("a cat", generator=torch.Generator("cpu").manual_seed(seed), **CALL).images[0]
        assert np.abs(picture - np.asarray(own, np.int16)).max() <= 1


def test_the_best_come_first_and_go_together(pipe, scorer):
    result = clipcond.generate(
        pipe, "a red fox", scorer=scorer, candidates=6, keep=3, seed=10, **CALL
    )
    assert len(result.images) == len(result.seeds) == len(result.scores) == len(result.order) == 3
    assert result.seeds == tuple(10 + i for i in result.order)
    assert result.candidate_scores.shape == (6,)
    assert torch.equal(result.candidate_scores[list(result.order)], result.scores)
    assert result.scores.tolist() == sorted(result.candidate_scores.tolist(), reverse=True)[:3]
    again = scorer.score(list(result.images), "a red fox").values
    assert torch.allclose(again, result.scores, atol=1e-5)


def test_weights_move_the_picture_but_not_the_scored_text(pipe, scorer):
    plain = clipcond.generate(pipe, "a red fox", scorer=scorer, candidates=1, keep=1, **CALL)
    heavy = clipcond.generate(pipe, "a (red:1.6) fox", scorer=scorer, candidates=1, keep=1, **CALL)
    assert heavy.provenance["scored_text"] == plain.provenance["scored_text"] == "a red fox"
    pipe_saw = clipcond.Conditioner.from_pipeline(pipe)
    assert not torch.equal(
        pipe_saw("a red fox").prompt_embeds, pipe_saw("a (red:1.6) fox").prompt_embeds
    )


@pytest.mark.parametrize(
    ("prompt", "dialect", "text"),
    [
        ("a (fox:1.3)  and [a\ncat]", "a1111", "a fox and a cat"),
        ("a cat BREAK a dog", "a1111", "a cat a dog"),
        (r"a \(cat\)", "a1111", "a (cat)"),
        ("a (fox:1.3)", "plain", "a (fox:1.3)"),
        ("", "a1111", ""),
        ("<lora:x:1> a [cat:dog:0.5] AND (a hat) :0.5", "a1111", "a dog a hat"),
        ("a cat AND_PERP a hat :-1 AND a dog :0", "a1111+", "a cat"),
        ("a (fox)1.3, sky", "compel", "a fox , sky"),
    ],
)
def test_plain_text(prompt, dialect, text):
    assert plain_text(prompt, dialect) == text


def test_plain_text_is_of_the_last_step_of_the_run():
    assert plain_text("[red:blue:10] [cat|dog]", "a1111", 5) == "red cat"
    assert plain_text("[red:blue:10] [cat|dog]", "a1111", 20) == "blue dog"


@given(st.text(alphabet="abc ()[]:1.\\"))
def test_plain_text_of_plain_text_in_the_plain_dialect_is_itself(prompt):
    once = plain_text(prompt, "plain")
    assert plain_text(once, "plain") == once == " ".join(prompt.split())


def test_the_prompt_is_encoded_once_whatever_the_batches(pipe, scorer):
    calls = []
    handle = pipe.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    clipcond.generate(pipe, "a cat", scorer=scorer, candidates=4, keep=1, batch_size=1, **CALL)
    handle.remove()
    assert len(calls) == 1


def test_a_shared_text_tower_is_said_and_recorded(pipe, folders):
    shared = ClipScorer.from_pretrained(folders)
    shared.clip.model.text_model.load_state_dict(pipe.text_encoder.state_dict())
    with pytest.warns(CircularScoreWarning, match="text tower"):
        result = clipcond.generate(pipe, "a cat", scorer=shared, candidates=1, keep=1, **CALL)
    assert result.provenance["circular"] is True


def test_a_shared_text_tower_is_recognised_in_half_precision(pipe, folders):
    shared = ClipScorer.from_pretrained(folders)
    halves = {name: value.half() for name, value in pipe.text_encoder.state_dict().items()}
    shared.clip.model.text_model.load_state_dict(halves)
    with pytest.warns(CircularScoreWarning):
        clipcond.generate(pipe, "a cat", scorer=shared, candidates=1, keep=1, **CALL)


def test_another_text_tower_is_not_circular(pipe, scorer):
    result = clipcond.generate(pipe, "a cat", scorer=scorer, candidates=1, keep=1, **CALL)
    assert result.provenance["circular"] is False


@pytest.mark.parametrize(
    ("prompt", "regions", "text"),
    [
        ("a [cat:dog:1]", (), "a dog"),
        ("a cat AND red sky :0.6", (), "a cat red sky"),
        (
            "sky",
            [Region("a [dog:cat:1]", box=(0, 0, 0.5, 1)), Region("red", box=(0.5, 0, 1, 1))],
            "sky a cat red",
        ),
    ],
)
def test_what_changes_is_composed_or_stands_in_places_is_drawn(pipe, scorer, prompt, regions, text):
    options = {"scorer": scorer, "candidates": 3, "keep": 3, "regions": regions, **CALL}
    result = clipcond.generate(pipe, prompt, batch_size=2, **options)
    assert result.provenance["scored_text"] == text
    conditioning = clipcond.Conditioner.from_pipeline(pipe)(prompt, regions=regions, steps=2)
    with conditioning.attached(pipe):
        for image, seed in zip(result.images, result.seeds, strict=True):
            own = pipe(
                **conditioning.kwargs_for(pipe),
                generator=torch.Generator().manual_seed(seed),
                **CALL,
            ).images[0]
            assert np.abs(np.asarray(own, np.int16) - np.asarray(image, np.int16)).max() <= 1
    said_first = clipcond.generate(
        pipe, plain_text(prompt, "a1111", 1), **{**options, "regions": ()}
    )
    pairs = zip(
        sorted(zip(result.seeds, result.images, strict=True), key=lambda p: p[0]),
        said_first.images,
        strict=True,
    )
    assert not all(np.array_equal(one, other) for (_, one), other in pairs)
    assert type(pipe) is StableDiffusionPipeline


def test_a_second_order_sampler_looks_twice_a_step(pipe, scorer):
    pipe.scheduler = HeunDiscreteScheduler()
    result = clipcond.generate(
        pipe, "[cat|dog|red|sky]", scorer=scorer, candidates=1, keep=1, **CALL
    )
    assert [last for last, _ in result.provenance["schedule"]] == [1, 2, 3, 4]


def test_steps_that_are_not_told_are_any(pipe, scorer):
    pipe.scheduler = HeunDiscreteScheduler()
    result = clipcond.generate(
        pipe, "[cat:dog:0.5]", scorer=scorer, candidates=1, keep=1, timesteps=[900, 500, 1]
    )
    assert "schedule" not in result.provenance
    assert result.provenance["scored_text"] == "dog"


def test_provenance_tells_what_happens_over_the_run(pipe, scorer):
    with clipcond.guidance(pipe, interval=(0.2, 0.8)):
        result = clipcond.generate(
            pipe,
            "[cat:dog:1]",
            negative_prompt="[bad|red]",
            regions=[Region("sky", box=(0, 0, 1, 0.5), weight=0.5)],
            scorer=scorer,
            candidates=1,
            keep=1,
            **CALL,
        )
    provenance = json.loads(json.dumps(result.provenance))
    assert provenance["schedule"] == [[1, "cat"], [2, "dog"]]
    assert provenance["negative_schedule"] == [[1, "bad"], [2, "red"]]
    assert provenance["regions"] == [{"prompt": "sky", "where": "region (0, 0, 1, 0.5) :0.5"}]
    assert provenance["guidance_interval"] == [0.2, 0.8]
    assert provenance["dialect"] == "a1111"


def test_provenance_is_json_and_tells_all(pipe, scorer):
    result = clipcond.generate(
        pipe,
        "a (cat:1.2)",
        negative_prompt="bad",
        scorer=scorer,
        candidates=2,
        keep=1,
        seed=4,
        **CALL,
    )
    provenance = json.loads(json.dumps(result.provenance))
    assert provenance["prompt"] == "a (cat:1.2)"
    assert provenance["negative_prompt"] == "bad"
    assert provenance["settings"] == CALL
    assert provenance["scheduler"] == "DDIMScheduler"
    assert len(provenance["scorer"]["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("change", "quote"),
    [
        ({"candidates": 0}, "candidates: got 0"),
        ({"candidates": -3}, "candidates: got -3"),
        ({"keep": 0}, "keep: got 0"),
        ({"keep": 9}, "keep: got 9, more than the 2 candidates"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"seed": -1}, "seed: got -1"),
        ({"seed": 2**63}, "seed: got 9223372036854775808"),
        ({"guidance_scale": float("nan")}, "guidance_scale: got nan"),
        ({"guidance_scale": float("inf")}, "guidance_scale: got inf"),
        ({"num_inference_steps": 0}, "num_inference_steps: got 0"),
        ({"generator": None}, "generator: generate sets it"),
    ],
)
def test_nonsense_is_quoted_before_any_work(pipe, scorer, change, quote):
    worked = []
    pipe.text_encoder.register_forward_hook(lambda *_: worked.append(1))
    with pytest.raises(ClipcondError, match=quote):
        clipcond.generate(
            pipe, "a cat", scorer=scorer, **{"candidates": 2, "keep": 1, **CALL, **change}
        )
    assert not worked


def test_the_pipelines_bar_is_given_back(pipe, scorer, capfd):
    pipe.set_progress_bar_config(desc="mine", ncols=60)
    with pytest.raises(RuntimeError, match="stop"):
        clipcond.generate(
            pipe, "a cat", scorer=scorer, candidates=1, keep=1, callback_on_step_end=stop, **CALL
        )
    clipcond.generate(pipe, "a cat", scorer=scorer, candidates=4, keep=1, batch_size=2, **CALL)
    assert pipe._progress_bar_config == {"desc": "mine", "ncols": 60}
    last = capfd.readouterr().err.strip().splitlines()[-1].split("\r")[-1]
    assert last.startswith("mine: 100%")
    assert "8/8" in last


def stop(pipe, step, timestep, tensors):
    raise RuntimeError("stop")


def test_a_callback_of_the_users_still_runs(pipe, scorer):
    steps = []

    def watch(pipe, step, timestep, tensors):
        steps.append(step)
        return tensors

    clipcond.generate(
        pipe, "a cat", scorer=scorer, candidates=2, keep=1, callback_on_step_end=watch, **CALL
    )
    assert steps == [0, 1]


def test_drawing_asks_for_each_part_once_and_gives_each_seed_its_picture(pipe):
    prompts, seeds, asked = ["a cat", "a dog", "a fox"], [3, 9, 3], []
    conditioner = clipcond.Conditioner.from_pipeline(pipe)

    def condition(part):
        asked.append(prompts[part])
        return conditioner(prompts[part]).kwargs_for(pipe)

    images = draw(pipe, condition, seeds, batch_size=2, **CALL)
    assert asked == [["a cat", "a dog"], ["a fox"]]
    for image, prompt, seed in zip(images, prompts, seeds, strict=True):
        own = pipe(prompt, generator=torch.Generator("cpu").manual_seed(seed), **CALL).images[0]
        assert np.abs(np.asarray(image, np.int16) - np.asarray(own, np.int16)).max() <= 1
