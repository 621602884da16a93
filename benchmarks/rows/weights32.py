"""32 prompts of a dozen words with two of them up and two down, in compel's language and with its weighting, as a batch, through a text encoder
of CLIP-L's shape: eight a turn. compel encodes each prompt, each once more for each word that is down, one after the other; here all
rows go in one forward. Both results are compared first. The limit counts the rows that compel's weighting cannot do without: three a prompt."""

from collections.abc import Iterator

import torch

from benchmarks.prompts import prompts
from benchmarks.race import Row, check_equal, race, text_products
from benchmarks.shapes import stable_diffusion, tokenizer

AT_ONCE, LAYERS, TARGET = 8, 12, 1.4
TRIED = (
    "All rows go in one forward, which on a CPU is not the fastest: activations of a dozen rows would stay in its caches. A call still makes one forward "
    "an encoder, which is what counts on a GPU. QuickGELU, attention and norms, which the limit does not count, are transformers' own in both."
)


def texts() -> list[str]:
    """Two words up, two down."""
    found = []
    for text in prompts(tokenizer(), [14] * 32):
        words = text.split()
        words[1], words[4] = f"({words[1]})1.3", f"({words[4]})1.2"
        words[7], words[9] = f"({words[7]})0.7", f"({words[9]})0.8"
        found.append(" ".join(words))
    return found


def rows(device: torch.device) -> Iterator[Row]:
    """One: prompts a second."""
    from compel import Compel

    from clipcond import Conditioner

    pipe = stable_diffusion(LAYERS).to(device)
    compel = Compel(tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder)
    conditioner = Conditioner.from_pipeline(pipe, dialect="compel", weighting="compel")
    lots = [texts()[i : i + AT_ONCE] for i in range(0, 32, AT_ONCE)]
    turns = {"ours": 0, "peer": 0}

    def lot(who: str) -> list[str]:
        turns[who] += 1
        return lots[turns[who] % len(lots)]

    check_equal(conditioner(lots[0]).prompt_embeds, compel(lots[0]), "weights32", at_most=2e-5)
    yield race(
        "weights32/2 up, 2 down, 12 layers/compel",
        lambda: conditioner(lot("ours")),
        lambda: compel(lot("peer")),
        count=AT_ONCE,
        unit="prompts/s",
        device=device,
        target=TARGET,
        products=text_products(pipe.text_encoder.config, 3 * AT_ONCE, 77),
    )
