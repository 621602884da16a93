"""The families whose denoisers read T5Gemma's states.

As diffusers 0.42 has it, `encode_prompt` and `__call__` of each.
"""

from dataclasses import replace

from clipcond.errors import ClipcondError
from clipcond.families.contract import T5GEMMA_CLASSES, Family, Role, both_sides
from clipcond.families.inputs import bool_masked, masked


def deep_cleaned(text: str) -> str:
    """What PRX does: DeepFloyd's cleaning, which lowers, and takes away brackets, addresses, numbers of articles...

    Raises:
        ClipcondError: ftfy is missing, without which the pipeline takes no strings either.
    """
    try:
        import ftfy  # noqa: F401 the preprocessor calls it
        from diffusers.pipelines.prx.pipeline_prx import TextPreprocessor
    except ImportError as error:
        raise ClipcondError("PRX cleans prompts with ftfy: pip install ftfy") from error
    return str(TextPreprocessor().clean_text(text))  # type: ignore[no-untyped-call]  # diffusers' own


_MASKED = Role(slot="text_encoder", encoder=T5GEMMA_CLASSES, padding="masked")

GEMMA_FAMILIES: tuple[Family, ...] = (
    Family(
        name="PRX",
        roles=(_MASKED,),
        denoiser_class="PRXTransformer2DModel",
        width="context_in_dim",
        assemble=bool_masked,
        clean=deep_cleaned,
    ),
    Family(
        name="Motif-Video",
        guidance="two calls",
        roles=(_MASKED,),
        denoiser_class="MotifVideoTransformer3DModel",
        width="text_embed_dim",
        assemble=masked,
        t5_length=512,
    ),
    Family(
        name="Stable Audio 3",
        roles=(replace(_MASKED, length=256),),
        denoiser_class="StableAudio3DiTModel",
        width="cond_token_dim",
        assemble=masked,
        arguments=both_sides(prompt_attention_mask="encoder_attention_mask"),
    ),
)
