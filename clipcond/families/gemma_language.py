"""The families whose prompt Gemma reads alone.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

from dataclasses import replace

from clipcond.families import templates
from clipcond.families.contract import Family, Role, product
from clipcond.families.inputs import Inputs, Results, masked

_GEMMA_2 = ("Gemma2Model", "Gemma2ForCausalLM")


def lowered(text: str) -> str:
    """What Sana's pipelines do: lower case, no blanks around."""
    return text.lower().strip()


def channels_first(results: Results) -> Inputs:
    """Each channel's states of all layers, one after the other, and which tokens are the prompt's."""
    found = results["text_encoder"]
    layers = found.states.view(*found.states.shape[:2], found.layers, -1)
    return Inputs(embeds=layers.transpose(-1, -2).flatten(2), mask=found.content.long())


_SANA = Family(
    name="Sana",
    roles=(
        Role(
            slot="text_encoder",
            encoder="Gemma2Model",
            layer=-1,
            padding="masked",
            side="right",
            template=templates.SANA,
            negative_template=templates.NONE,
        ),
    ),
    denoiser_class="SanaTransformer2DModel",
    width="caption_channels",
    assemble=masked,
    clean=lowered,
    t5_length=300,
)

GEMMA_LANGUAGE_FAMILIES: tuple[Family, ...] = (
    _SANA,
    replace(
        _SANA.with_template(templates.SANA_VIDEO),
        name="Sana video",
        denoiser_class="SanaVideoTransformer3DModel",
    ),
    Family(
        name="Lumina 2",
        guidance="two calls",
        roles=(
            Role(
                slot="text_encoder",
                encoder=_GEMMA_2,
                layer=-2,
                padding="masked",
                side="right",
                template=templates.LUMINA_2,
                negative_template=templates.NONE,
            ),
        ),
        denoiser_class="Lumina2Transformer2DModel",
        width="cap_feat_dim",
        places=lambda config: int(config["axes_lens"][0]) - 1,  # and one that pictures begin at
        assemble=masked,
        t5_length=256,
    ),
    Family(
        name="LTX-2",
        roles=(
            Role(
                slot="text_encoder",
                encoder="Gemma3ForConditionalGeneration",
                layer="all",
                padding="masked",
                side="left",
                multiple=128,  # of its connectors' registers, which take the place of padding
                template=templates.NONE,
            ),
        ),
        denoiser_class="LTX2VideoTransformer3DModel",
        reader="connectors",
        width=product("caption_channels", "text_proj_in_factor"),
        assemble=channels_first,
        clean=str.strip,
        t5_length=1024,
    ),
)
