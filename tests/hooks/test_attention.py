"""Each attention of a denoiser is seen, its mask may be changed, and nothing is left behind."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from clipcond.errors import UnsupportedPipelineError
from clipcond.hooks.attention import Attention, attending, attention_modules
from tests import doubles
from tests.zoo import ZOO

BUILDERS: dict[str, Callable[[], Any]] = {
    **{name: doubles.BUILDERS[name] for name in ("sd1", "sdxl", "sd3", "flux")},
    "wan": ZOO["WanPipeline"].build,
    "pixart": ZOO["PixArtAlphaPipeline"].build,
}


def denoiser(pipe: Any) -> nn.Module:
    module: nn.Module = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    return module


def inputs(name: str, rows: int = 2) -> dict[str, Any]:
    """What the denoiser of a double is called with."""
    draw = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(rows, *shape, generator=draw)

    time = torch.full((rows,), 500.0)
    if name == "sd1":
        return dict(sample=noise(4, 16, 16), timestep=500, encoder_hidden_states=noise(77, 32))
    if name == "sdxl":
        added = dict(text_embeds=noise(32), time_ids=torch.zeros(rows, 6))
        given = dict(sample=noise(4, 16, 16), timestep=500, encoder_hidden_states=noise(77, 64))
        return given | dict(added_cond_kwargs=added)
    if name == "sd3":
        given = dict(hidden_states=noise(4, 8, 8), timestep=time, pooled_projections=noise(64))
        return given | dict(encoder_hidden_states=noise(20, 80))
    if name == "flux":
        given = dict(hidden_states=noise(16, 4), timestep=time / 1000, pooled_projections=noise(32))
        ids = dict(txt_ids=torch.zeros(10, 3), img_ids=torch.zeros(16, 3))
        return given | dict(encoder_hidden_states=noise(10, 32)) | ids
    if name == "wan":
        return dict(
            hidden_states=noise(16, 1, 4, 4), timestep=time, encoder_hidden_states=noise(9, 32)
        )
    mask = torch.ones(rows, 12)
    mask[:, 5:] = 0
    return dict(
        hidden_states=noise(4, 8, 8),
        timestep=time,
        encoder_hidden_states=noise(12, 32),
        encoder_attention_mask=mask,
        added_cond_kwargs=dict(resolution=None, aspect_ratio=None),
    )


def drawn(module: nn.Module, given: dict[str, Any]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module(**given, return_dict=False)[0]
    return found


def traces(module: nn.Module) -> list[Any]:
    """What must be as it was afterwards."""
    return [
        (type(part), getattr(part, "processor", None), dict(part._forward_hooks), dict(part._forward_pre_hooks),
         dict(part._forward_hooks_always_called), part.__dict__.keys())
        for part in module.modules()
    ]  # fmt: skip


@pytest.mark.parametrize("name", BUILDERS)
def test_every_attention_is_seen_and_nothing_changes(name: str) -> None:
    module, given = denoiser(BUILDERS[name]()), inputs(name)
    before, plain = traces(module), drawn(module, given)
    seen: list[Attention] = []

    def look(attention: Attention) -> torch.Tensor | None:
        seen.append(attention)
        return attention.mask

    with attending(module, look):
        watched = drawn(module, given)
    assert torch.equal(plain, watched)
    assert {attention.name for attention in seen} == attention_modules(module).keys()
    assert all(attention.module is module.get_submodule(attention.name) for attention in seen)
    assert any(attention.other is not None for attention in seen)
    for attention in seen:
        assert len(attention.query) == len(attention.key) == 2
        assert attention.query.shape[3] == attention.key.shape[3]
    assert len(seen) == len(attention_modules(module))
    assert before == traces(module)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_changed_mask_is_the_one_that_attends(name: str) -> None:
    module, given = denoiser(BUILDERS[name]()), inputs(name)

    def to_all(attention: Attention) -> torch.Tensor:
        shape = (*attention.query.shape[:1], 1, attention.query.shape[2], attention.key.shape[2])
        return torch.ones(shape, dtype=torch.bool)

    def to_the_last(attention: Attention) -> torch.Tensor:
        mask = to_all(attention)
        mask[..., :-1] = False
        return mask

    plain = drawn(module, given)
    with attending(module, to_all):
        open_ = drawn(module, given)
    with attending(module, to_the_last):
        last = drawn(module, given)
    assert not torch.allclose(plain, last, atol=1e-5)
    if name != "pixart":  # it has a mask of its own
        torch.testing.assert_close(open_, plain, atol=1e-5, rtol=1e-5)
    # the innermost is first, and hands its mask on
    found: list[torch.Tensor | None] = []

    def look(attention: Attention) -> torch.Tensor | None:
        found.append(attention.mask)
        return attention.mask

    with attending(module, look), attending(module, to_the_last):
        assert torch.equal(drawn(module, given), last)
    assert all(mask is not None and mask.dtype == torch.bool for mask in found)


@pytest.mark.parametrize(
    ("change", "repair"),
    [
        (lambda pipe: pipe.enable_attention_slicing(1), "disable_attention_slicing"),
        (lambda pipe: pipe.unet.set_attn_processor(AttnProcessor()), "AttnProcessor2_0"),
    ],
)
def test_attention_that_cannot_be_seen_is_refused(
    change: Callable[[Any], None], repair: str
) -> None:
    pipe = doubles.sd1()
    change(pipe)
    before = traces(pipe.unet)
    with (
        pytest.raises(UnsupportedPipelineError, match=repair),
        attending(pipe.unet, lambda attention: attention.mask),
    ):
        drawn(pipe.unet, inputs("sd1"))
    assert before == traces(pipe.unet)


def test_what_the_denoiser_or_the_watcher_raises_comes_through() -> None:
    unet = doubles.sd1().unet
    before = traces(unet)

    def fail(_: Attention) -> torch.Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), attending(unet, fail):
        drawn(unet, inputs("sd1"))
    assert before == traces(unet)
    seen: list[str] = []

    def look(attention: Attention) -> torch.Tensor | None:
        seen.append(attention.name)
        return attention.mask

    with attending(unet, look):
        drawn(unet, inputs("sd1"))
    assert len(seen) == len(attention_modules(unet))


def test_another_thread_that_runs_the_same_denoiser_is_not_seen() -> None:
    unet, given = doubles.sd1().unet, inputs("sd1")
    seen: list[int] = []
    other = threading.Thread(target=lambda: drawn(unet, given))

    def look(attention: Attention) -> torch.Tensor | None:
        if not seen:  # while this thread is inside a module
            other.start()
            other.join()
        seen.append(threading.get_ident())
        return attention.mask

    with attending(unet, look):
        drawn(unet, given)
    assert seen == [threading.get_ident()] * len(attention_modules(unet))


@pytest.mark.pitfall(18)
def test_a_compiled_denoiser_runs_as_it_was_written() -> None:
    unet, given = doubles.sd1().unet, inputs("sd1")
    names = list(attention_modules(unet))
    plain = drawn(unet, given)
    compiled = torch.compile(unet, backend="eager")
    seen: list[str] = []

    def look(attention: Attention) -> torch.Tensor | None:
        seen.append(attention.name)
        return attention.mask

    with attending(compiled, look):
        assert torch.equal(drawn(compiled, given), plain)
    assert sorted(seen) == sorted(names)
