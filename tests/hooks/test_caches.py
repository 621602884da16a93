"""diffusers' caches inside a denoiser, which would go on with the text of an earlier step."""

import pytest
import torch

diffusers = pytest.importorskip("diffusers")

from clipcond import Conditioner
from tests import doubles as tiny

STEPS = 6


@pytest.mark.pitfall(32)
def test_a_text_that_changes_is_computed_at_once():
    pipe = tiny.flux()
    # never near enough to compute again by itself
    pipe.transformer.enable_cache(diffusers.FirstBlockCacheConfig(threshold=1e9))
    computed = []
    inside = pipe.transformer.single_transformer_blocks[-1].proj_out
    inside.register_forward_pre_hook(
        lambda *_: computed.append(int(pipe.scheduler.step_index or 0))
    )
    conditioner = Conditioner.from_pipeline(pipe)
    for prompt, steps in (("a red cat", [0]), ("a red [cat:dog:4]", [0, 4])):
        computed.clear()
        conditioning = conditioner(prompt)
        with conditioning.attached(pipe):
            pipe(
                **conditioning.kwargs_for(pipe),
                num_inference_steps=STEPS,
                output_type="latent",
                height=32,
                width=32,
                generator=torch.Generator().manual_seed(0),
            )
        assert computed == steps
