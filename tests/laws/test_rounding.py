"""Law 1 at other widths and with several threads: one forward of all rows is not two of each side, to the last bits.

Matrix products of other shapes, or cut over threads in another way, add up in another order. On a CPU in float32, ours and
the pipeline's own differ by at most `ROUNDING` times the largest state; where they are equal, that is the machine's doing.
"""

import pytest
import torch

from clipcond import Conditioner
from tests.tiny import tiny_pipeline

ROUNDING = 1e-5


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.pitfall(43)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("width", [4, 8, 32, 768])
def test_it_is_the_pipelines_own_encoding_but_for_rounding(width, count, threads):
    threads(count)
    pipe = tiny_pipeline(width=width)
    conditioner = Conditioner.from_pipeline(pipe)
    for prompt, negative in (
        ("a red cat", None),
        ("a cat", "bad"),
        (["a cat", "a dog", "sky"], ["", "bad", "x"]),
    ):
        ours = conditioner(prompt, negative_prompt=negative)
        with torch.no_grad():
            theirs = pipe.encode_prompt(prompt, "cpu", 1, True, negative_prompt=negative)
        for mine, other in zip(
            (ours.prompt_embeds, ours.negative_prompt_embeds), theirs, strict=True
        ):
            assert (mine - other).abs().max() <= ROUNDING * other.abs().max()
            if width == 32 and count == 1:  # as the laws of identity have it
                assert torch.equal(mine, other)
