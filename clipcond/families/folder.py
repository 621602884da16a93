"""The text encoders and tokenizers of a diffusers folder or hub id: only they are loaded, in float32 on the CPU."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from clipcond.encoders import text_config
from clipcond.errors import CheckpointError
from clipcond.families.contract import Contents, Family, Role
from clipcond.families.finding import family_of_index
from clipcond.families.sight import Sight
from clipcond.files import first_line

_SAYS_PADDING = ("tokenizer_config.json", "special_tokens_map.json", "tokenizer.json")
_PADDING_KEYS = ("pad_token", "padding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a pipeline is.

    Attributes:
        place: a folder or a hub id.
        variant: in the names of the weights' files, as "fp16" in model.fp16.safetensors.
        revision: of a hub id: a branch, tag or commit.
        subfolder: where in the place model_index.json is; "" for right there.
    """

    place: str | Path
    variant: str | None = None
    revision: str | None = None
    subfolder: str = ""

    def within(self, slot: str) -> dict[str, Any]:
        """The arguments of a `from_pretrained` for one slot, beside the place."""
        folder = f"{self.subfolder}/{slot}" if self.subfolder else slot
        return {"subfolder": folder, "revision": self.revision}

    def folder(self, slot: str) -> Path | None:
        """A slot's own folder; None of a hub id."""
        here = Path(self.place)
        return here / self.subfolder / slot if here.is_dir() else None

    def __str__(self) -> str:
        return f"{self.place}/{self.subfolder}" if self.subfolder else str(self.place)


def read_folder(source: Source) -> Contents:
    """What a folder or hub id holds for its family.

    Raises:
        CheckpointError: a part cannot be read; the message names its slot and what to do.
        UnsupportedPipelineError: it holds another kind of pipeline.
    """
    import diffusers

    try:
        index = diffusers.DiffusionPipeline.load_config(
            source.place, subfolder=source.subfolder or None, revision=source.revision
        )
    # the loaders raise whatever their files make them: OSError, ValueError, ...
    except Exception as error:
        raise CheckpointError(
            f"{source} cannot be read as a diffusers folder: {first_line(error)}"
        ) from error
    family = family_of_index(index)
    width = _width(family, index, source)
    parts = {}
    for role in family.roles:
        if not (index.get(role.slot) or [None, None])[1]:
            continue
        parts[role.slot] = _encoder(role, index, source)
        parts[role.tokenizer] = _tokenizer(role, index, source, parts[role.slot])
        if role.sight:
            parts[role.sight.processor] = _picture_processor(role.sight, source)
    return Contents(family, parts, width, bool(index.get("force_zeros_for_empty_prompt")))


def _width(family: Family, index: Mapping[str, Any], source: Source) -> int:
    """Of the denoiser's text states; 0 where the pipeline was saved without one."""
    import diffusers

    library, named = index.get(family.reading_slot) or [None, None]
    if not named:
        return 0
    try:
        # what only one pipeline has is kept with it
        home = (
            diffusers
            if hasattr(diffusers, named)
            else import_module(f"diffusers.pipelines.{library}")
        )
        kind = getattr(home, named)
        return family.width_in(kind.load_config(source.place, **source.within(family.reading_slot)))
    except Exception as error:  # as above
        raise CheckpointError(
            f"{source}: {family.reading_slot} cannot be read ({first_line(error)}); its config.json says how wide text states "
            f"are: copy or download it (no weights are needed), or set {family.reading_slot} to [null, null] in model_index.json"
        ) from error


def _encoder(role: Role, index: Mapping[str, Any], source: Source) -> Any:
    """A text encoder, in float32."""
    import transformers

    kind, where = index[role.slot][1], source.within(role.slot)
    try:
        if kind == "T5GemmaEncoder":  # looks for its configuration in no subfolder
            where["config"] = text_config(
                transformers.AutoConfig.from_pretrained(source.place, **where)
            )
        module = getattr(transformers, kind).from_pretrained(
            source.place,
            dtype=torch.float32,
            use_safetensors=True,
            variant=source.variant,
            **where,
        )
    except Exception as error:  # as above
        reason = _weights_missing(role, source) or first_line(error)
        raise CheckpointError(f"{source}: {role.slot} cannot be read: {reason}") from error
    return module.eval()


def _weights_missing(role: Role, source: Source) -> str:
    """What is wrong with the files of an encoder's weights, and the remedy; "" if nothing is or it is on the hub."""
    folder = source.folder(role.slot)
    if folder is None:
        return ""
    without = f"; or set {role.slot} and {role.tokenizer} to [null, null] in model_index.json"
    without = without if role.optional else ""
    if not folder.is_dir():
        return f"model_index.json lists it, but {folder} is missing: copy or download it{without}"
    names = sorted(file.name for file in folder.iterdir())
    weights = [name for name in names if name.endswith(".safetensors")]
    variants = {name: name.split(".")[1] if name.count(".") > 1 else None for name in weights}
    variants = {name: v and v.partition("-")[0] for name, v in variants.items()}  # of shards
    if weights and source.variant not in variants.values():
        name, other = next(iter(variants.items()))
        wanted = (
            f"none of the variant {source.variant!r}"
            if source.variant
            else "none without a variant"
        )
        remedy = f"pass variant={other!r}" if other else "leave variant= out"
        return f"of weights there is {name}, and {wanted}: {remedy}"
    pickles = [name for name in names if name.endswith((".bin", ".pt", ".ckpt"))]
    if pickles and not weights:
        return (
            f"{pickles[0]} is a pickle, which can run code, and only .safetensors are read: if you trust it, convert it with "
            f"{role.encoders[0]}.from_pretrained(...).save_pretrained(...), or load the pipeline yourself and take "
            "Conditioner.from_pipeline(pipe)"
        )
    return "" if weights else f"{folder} holds no .safetensors: copy or download it{without}"


def _tokenizer(role: Role, index: Mapping[str, Any], source: Source, module: Any) -> Any:
    """A tokenizer; that its rows are filled up as the encoder was trained is looked at where the files say nothing."""
    import transformers

    # a processor of pictures and texts is saved with the tokenizer that it has
    named = "AutoTokenizer" if role.template else index[role.tokenizer][1]
    try:
        tokenizer = getattr(transformers, named).from_pretrained(
            source.place, **source.within(role.tokenizer)
        )
    except Exception as error:  # as above
        reason = _files_missing(role, source) or first_line(error)
        raise CheckpointError(f"{source}: {role.tokenizer} cannot be read: {reason}") from error
    # transformers takes <|endoftext|>, which is right for OpenAI's CLIPs, and only they have QuickGELUs
    told = not role.windowed or getattr(module.config, "hidden_act", "") == "quick_gelu"
    if not told and not _says_padding(role, source):
        raise CheckpointError(
            f"{source}: {role.tokenizer} does not say what fills up its rows, and {role.slot} is none of OpenAI's, where "
            'that is "<|endoftext|>" (in others mostly "!"): add its tokenizer_config.json or special_tokens_map.json'
        )
    return tokenizer


def _picture_processor(sight: Sight, source: Source) -> Any:
    """What cuts pictures into patches, of a processor of pictures and texts."""
    import transformers

    try:
        return transformers.AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            source.place, **source.within(sight.processor)
        )
    except Exception as error:  # as above
        raise CheckpointError(
            f"{source}: {sight.processor} cannot be read: {first_line(error)}"
        ) from error


def _files_missing(role: Role, source: Source) -> str:
    """Which files a tokenizer lacks, and the remedy; "" if none does or it is on the hub."""
    folder = source.folder(role.tokenizer)
    if folder is None:
        return ""
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if "tokenizer.json" in names:
        return ""
    if "spiece.model" in names or "tokenizer.model" in names:
        return (
            "of its vocabulary there is only a SentencePiece model, which transformers reads with sentencepiece and "
            "protobuf: pip install sentencepiece protobuf, or add its tokenizer.json"
        )
    if len({"vocab.json", "merges.txt"} & names) == 1:
        return "vocab.json and merges.txt belong together, and one is missing: copy or download it"
    return f"{folder} holds no tokenizer.json: copy or download it"


def _says_padding(role: Role, source: Source) -> bool:
    """Whether one of a tokenizer's files names its padding."""
    from transformers.utils.hub import cached_file

    for name in _SAYS_PADDING:
        file = cached_file(
            source.place,
            name,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            **source.within(role.tokenizer),
        )
        if file is not None:
            said = json.loads(Path(file).read_text(encoding="utf-8"))
            if any(said.get(key) for key in _PADDING_KEYS):
                return True
    return False
