"""What a conditioning library meets in diffusers and transformers, and the tests that show what becomes of it: docs/pitfalls.md.

python -m tests.pitfalls              run the tests marked `@pytest.mark.pitfall(n)`, and write the page if all pass
python -m tests.pitfalls --page-only  write it from the marks alone, after a test was renamed
"""

import argparse
import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "pitfalls.md"
_SHOWN = 4  # tests named in a row; the rest are counted
_RAN = re.compile(r"All tests named here passed with (.+)\.\n")


@dataclass(frozen=True, slots=True)
class Row:
    """One pitfall.

    Attributes:
        wrong: what goes wrong without care.
        done: what clipcond does.
        untested: where there is no test: "not built: ..." or "does not touch conditioning: ...", and why.
    """

    wrong: str
    done: str
    untested: str = ""


ROWS: dict[int, Row] = {
    1: Row(
        "`clip_skip` crashes Stable Diffusion 1 and the pipelines copied from it: they look for a `text_model` that "
        "`CLIPTextModel` no longer has",
        "reads the layer out of the encoder's hidden states itself and passes no `clip_skip` on",
    ),
    2: Row(
        "the `scale` of `cross_attention_kwargs` reaches a text encoder's LoRA inside `encode_prompt` only, and crashes without peft",
        "`lora_scale` scales the LoRA's layers around its own forward and puts back exactly what was there; without a LoRA "
        "to scale it is an error",
    ),
    3: Row(
        "text encoders are saved with or without `text_model.` before their names; loaded raw and not strictly, the wrong "
        "one leaves every weight random, silently",
        "reads both, and lists missing and left-over tensors in one error",
    ),
    4: Row(
        "`CLIPTokenizer(vocab_file=..., merges_file=...)`, and a folder without its files, give a tokenizer of two tokens",
        "refuses a CLIP tokenizer of fewer tokens than there are bytes; builds its own from the vocabulary itself",
    ),
    5: Row(
        "a textual inversion of several vectors whose name has capitals is read as its first vector",
        "finds inversions in the text itself, whatever their case, and puts in every vector",
    ),
    6: Row(
        "where `eos_token_id` is 2, as in the published configurations, the highest id is pooled at: a textual inversion's, "
        "whose ids come after the end of text",
        "pools at the true end of text, whatever the configuration says",
    ),
    7: Row(
        "ids without the configured end of text are pooled at the beginning of text, which says nothing",
        "each window has its own end, which is pooled at",
    ),
    8: Row(
        "given a positive tensor of more than 77 tokens and no negative one, pipelines encode a short negative and fail to "
        "put both together",
        "always makes both sides, of one length, filled up with encoded empty windows",
    ),
    9: Row(
        "Stable Diffusion 3, Flux and others do not repeat given tensors for `num_images_per_prompt`",
        "`kwargs_for(pipe, num_images_per_prompt)` repeats them and gives the pipeline 1",
    ),
    10: Row(
        "Stable Diffusion 3 and Flux do not cast given tensors to the denoiser's dtype",
        "`kwargs_for` gives them in it, on the device where the pipeline runs",
    ),
    11: Row(
        "a callback that swaps `negative_prompt_embeds` changes nothing where positive and negative were joined before the loop",
        "puts what is said at each step into the rows of the denoiser's own call, of both sides",
    ),
    12: Row(
        "Flux's callbacks can swap neither the pooled vector nor the negatives, nor change the length",
        "puts pooled vectors and negatives in as well; all that a prompt ever says has one length from the start",
    ),
    13: Row(
        "the order of positive and negative rows in the denoiser's batch differs between pipelines",
        "hands over positive and negative under their own names, and knows their rows again by marks that they carry",
    ),
    14: Row(
        "the callbacks that come with diffusers for cutting off guidance crash for more than one prompt",
        "`clipcond.guidance` leaves the unconditional rows out of the denoiser's call, for any number of prompts",
    ),
    15: Row(
        "a callback that returns None crashes, and some schedulers call it more often than there are steps",
        "gives the pipeline no callback; the denoiser's timestep and the scheduler's own count tell the step",
    ),
    16: Row(
        "hooks of diffusers' registry vanish after one call under model offloading, while still listed",
        "calls an encoder as a whole, so that hooks of offloading run, and stands around the denoiser's call as its class, "
        "which offloading leaves alone",
    ),
    17: Row(
        "an offloaded encoder says that it is on `cpu` or `meta`, and its inputs are not moved",
        "asks the offloading hooks where the encoder runs, and puts the ids there",
    ),
    18: Row(
        "hooks that are put inside a compiled module later never run",
        "takes layers from `output_hidden_states`; what acts on a denoiser's attention runs it as it was written meanwhile",
    ),
    19: Row(
        "a text encoder stored in 8-bit floats makes the pipeline cast everything to them, and crash",
        "takes the dtype of what the encoder puts out, and the denoiser's",
    ),
    20: Row(
        "encoders quantised by bitsandbytes refuse `.to(dtype)`",
        "never moves or casts an encoder",
    ),
    21: Row(
        "PixArt, Allegro, Latte and others have `negative_prompt=\"\"` by default, which a negative tensor is at odds with",
        "gives a pipeline exactly the arguments that its family needs",
    ),
    22: Row(
        "the same tensors have other names in other pipelines",
        "each family's names are in one table",
    ),
    23: Row(
        "Stable Diffusion 3 ignores an attention mask without a word, and orders text and picture the other way than Flux",
        "puts its mask for regions into the attention itself, in each one's order",
    ),
    24: Row(
        "unknown `cross_attention_kwargs` are logged once per layer and step",
        "passes tensors only",
    ),
    25: Row(
        "`get_text_features` and `get_image_features` return an object where transformers 4 returned a tensor",
        "projects and normalises itself, equal to theirs",
    ),
    26: Row(
        "the image processor divides pictures of floats in 0..1 by 255 once more, silently",
        "makes every accepted kind of picture the same bytes first",
    ),
    27: Row(
        "a local `custom_pipeline` needs `trust_remote_code`, and its path must be a string",
        "works beside a pipeline, with any that takes embeddings",
        "does not touch conditioning: clipcond is no custom pipeline",
    ),
    28: Row(
        "modular pipelines ignore a disabled guider, and refuse positive and negative of different lengths",
        "refuses modular pipelines by name; positive and negative have one length",
    ),
    29: Row(
        "a component that a pipeline does not declare breaks its `components`",
        "registers nothing on a pipeline",
    ),
    30: Row(
        "Stable Cascade's prior needs its text encoder even where tensors are given",
        "keeps the pipeline's text encoders where they are",
    ),
    31: Row(
        "`!` is the padding token of Stable Diffusion 2 and of SDXL's second encoder, and a typed `<|endoftext|>` ends the text, as `</s>` does for T5 whatever `split_special_tokens` says",
        "follows the pipeline with `!` and says so in the report; typed special tokens stay text, T5's `</s>` too",
    ),
    32: Row(
        "caches inside a denoiser can hold the text of an earlier step after a swap",
        "empties them when a text or the rows change",
    ),
    33: Row(
        "`text_model` is there on `CLIPTextModelWithProjection` only; transformers 4 has it on both classes",
        "reads outputs, not submodules",
    ),
    34: Row(
        "HunyuanDiT, CogVideoX and the unCLIP prior read texts of fixed lengths",
        "knows each family's lengths from one table, and refuses a longer prompt; the unCLIP prior's pipeline is refused",
    ),
    35: Row(
        "`_execution_device` fails with a misleading error where a component has no `.device`",
        "adds no component to a pipeline",
    ),
    36: Row(
        "sequential offloading tried out with the device `\"cpu\"` fails, with `torch.device(\"cpu\")` it does not",
        "needs nothing here; its tests of offloading on a CPU pass a device",
    ),
    37: Row(
        "a fast tokenizer keeps truncation, padding and `split_special_tokens` as state that each call sets: threads that share one get each other's, or \"Already borrowed\"",
        "reads with a copy of its own, and leaves the pipeline's tokenizer as it is",
    ),
    38: Row(
        "a LoRA's scale is one for all threads: two calls of different `lora_scale` read each other's, and what is put back "
        "last stays",
        "gives each thread the layer's own value times the scale of its own call, and the last one puts back what was there",
    ),
    39: Row(
        "a hook on a shared module, and torch.compile's stance, act on the forwards of all threads",
        "has its hook act in the thread that hung it only, counts who wants the stance, and takes turns where a forward moves "
        "the module's weights",
    ),
    40: Row(
        "without a dtype, transformers 5 loads text encoders in the one that their folder names, diffusers the denoiser in "
        "float32; Stable Diffusion, SDXL and others cast given tensors to the encoder's as well, make their noise in it, and crash",
        "`kwargs_for` gives tensors in the denoiser's dtype that no cast takes out of it",
    ),
    41: Row(
        "a T5, BERT, Gemma or language-model tokenizer whose files are missing is made up of its special tokens, and reads every "
        "prompt as unknown",
        "refuses any tokenizer of fewer ordinary tokens than there are letters (of a CLIP: bytes), or of more than its encoder knows",
    ),
    42: Row(
        "a CLIP tokenizer of vocabulary files alone pads with `<|endoftext|>`, where encoders that are not OpenAI's (SDXL's second, "
        "Stable Diffusion 2's) were trained with `!`",
        "refuses a folder whose tokenizer does not say what it pads with, unless the encoder is OpenAI's",
    ),
    43: Row(
        "one batched forward is not two, to the last bits: in float32 on a CPU on encoders under a dozen channels, and on those of "
        "real widths where torch has several threads",
        "encodes all rows of a call in one forward, and promises what the pipeline's own `encode_prompt` gives to 1e-5 of the "
        "largest state; bit for bit as a rule with one thread (`torch.set_num_threads(1)`)",
    ),
    44: Row(
        "Qwen-Image, Sana, LTX-2 and others repeat the masks of several prompts in another order than their states: where each is drawn more than once, "
        "prompts are cut at each other's ends, or read padding",
        "repeats masks with their states, so that each picture is what its prompt draws alone",
    ),
    45: Row(
        "Z-Image's pipelines write their chat template into the list of prompts that they are given, so that a second call with the "
        "same list reads it twice",
        "changes nothing that it is given",
    ),
    46: Row(
        "a schedule's texts have more and fewer tokens: a mask made for one of them hides the other's end, or shows padding; and "
        "pipelines leave out a mask that hides nothing at first",
        "gives the denoiser each step's own mask, by whatever name it takes it, also where the pipeline left it out",
    ),
}  # fmt: skip


def marked() -> dict[int, list[tuple[str, str]]]:
    """Row -> (file below the repository's root, test) of every test that is marked with it."""
    found: dict[int, list[tuple[str, str]]] = {number: [] for number in ROWS}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for number in _numbers(node):
                    found[number].append((file.relative_to(ROOT).as_posix(), node.name))
    return found


def _numbers(function: ast.FunctionDef) -> list[int]:
    calls = [node for node in function.decorator_list if isinstance(node, ast.Call)]
    marks = [call for call in calls if ast.unparse(call.func) == "pytest.mark.pitfall"]
    return [ast.literal_eval(argument) for call in marks for argument in call.args]


def page(ran_with: str) -> str:
    """The page; `ran_with`: the versions that its tests passed with."""
    tests = marked()
    lines = []
    states: dict[str, int] = {}
    for number, row in ROWS.items():
        state = "shown" if tests[number] else row.untested.partition(":")[0]
        states[state] = states.get(state, 0) + 1
        proof = _links(tests[number]) if tests[number] else row.untested
        lines.append(f"| {number} | {row.wrong} | {row.done} | {proof} |")
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return (
        "# Pitfalls\n\n"
        "What goes wrong between prompts and pictures in diffusers 0.42.1 with transformers 5.23.0 if nobody takes care, what "
        f"clipcond does, and the tests that show it. Of {len(ROWS)}: {counts}.\n\n"
        "Generated by `python -m tests.pitfalls` from the marks on the tests, which it runs. "
        f"All tests named here passed with {ran_with}.\n\n"
        "| | what goes wrong | what clipcond does | shown by |\n| ---: | --- | --- | --- |\n"
        + "\n".join(lines)
        + "\n"
    )


def _links(tests: list[tuple[str, str]]) -> str:
    shown = [f"[{_title(name)}](../{file})" for file, name in tests[:_SHOWN]]
    more = len(tests) - _SHOWN
    return "; ".join(shown) + (f"; {more} more" if more > 0 else "")


def _title(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def ran_with() -> str:
    """The versions that the page there is says."""
    found = _RAN.search(PAGE.read_text(encoding="utf-8"))
    return found[1] if found else "nothing yet"


def main() -> int:
    """Write the page, or say why not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page-only", action="store_true")
    if parser.parse_args().page_only:
        versions = ran_with()
    else:
        tests = {f"{file}::{name}" for found in marked().values() for file, name in found}
        run = [sys.executable, "-m", "pytest", "-q", *sorted(tests)]
        if subprocess.run(run, cwd=ROOT, check=False).returncode:
            return 1
        versions = ", ".join(
            f"{name} {version(name)}" for name in ("diffusers", "transformers", "torch")
        )
    PAGE.write_text(page(versions), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
