"""The pipeline's tokenizer is never called, so that no thread's truncation, padding or special tokens are another's."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from clipcond.prompt import Segment
from clipcond.tokens import PromptTokenizer, lines_of
from clipcond.tokens.backend import backend_of
from tests.doubles import t5_tokenizer
from tests.tiny import clip_tokenizer
from tests.zoo.gemma import gemma_tokenizer
from tests.zoo.language_models import llama_tokenizer, qwen_tokenizer

TEXTS = [
    "a cat",
    "a cat <|endoftext|> dog",
    "red " * 90,
    "",
    "caf\u00e9 \u65e5\u672c",
    "a </s> b",
    "!!",
    "  a\n\tb ",
]
TOKENIZERS = {
    "clip": clip_tokenizer,
    "clip padded with !": lambda: clip_tokenizer("!"),
    "t5": t5_tokenizer,
    "qwen": qwen_tokenizer,
    "llama": llama_tokenizer,
    "gemma": gemma_tokenizer,
}


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("special", [True, False])
def test_a_copy_says_what_the_tokenizer_says(name, special):
    theirs = TOKENIZERS[name]()
    ours = backend_of(theirs).encode([[text] for text in TEXTS], special=special)
    plain = theirs(TEXTS, add_special_tokens=special, verbose=False)["input_ids"]
    assert [[piece.id for piece in found] for found in ours] == plain


def ids(tokenizer, text):
    return [t.id for t in tokenizer(lines_of([Segment(text, 1.0)]))[0]]


@pytest.mark.pitfall(37)
def test_many_threads_on_one_tokenizer_beside_the_pipelines_own_calls():
    """Each thread gets what it would alone, whatever another one typed or truncates to."""
    shared = clip_tokenizer()
    ours = PromptTokenizer(shared, 77)
    expected = [ids(PromptTokenizer(clip_tokenizer(), 77), text) for text in TEXTS]
    assert not any(shared.eos_token_id in found for found in expected)

    def pipelines_own(length):
        with suppress(RuntimeError):  # of two pipelines in two threads; not this library's
            shared(TEXTS, padding="max_length", max_length=length, truncation=True)

    with ThreadPoolExecutor(8) as pool:
        found = []
        for turn in range(40):
            pool.submit(pipelines_own, 5 + turn % 3)
            found += [pool.submit(ids, ours, text) for text in TEXTS]
        got = [one.result() for one in found]
    assert got == expected * 40


@pytest.mark.pitfall(37)
@pytest.mark.parametrize("text", ["a cat", "a <|endoftext|> b"])
def test_the_pipelines_tokenizer_keeps_its_settings(text):
    shared = clip_tokenizer()
    shared("a", padding="max_length", max_length=9, truncation=True)
    before = (
        shared.backend_tokenizer.truncation,
        shared.backend_tokenizer.padding,
        shared.backend_tokenizer.encode_special_tokens,
    )
    ids(PromptTokenizer(shared, 77), text)
    assert before == (
        shared.backend_tokenizer.truncation,
        shared.backend_tokenizer.padding,
        shared.backend_tokenizer.encode_special_tokens,
    )
    assert before[0] is not None


def test_tokens_added_later_are_known():
    shared = clip_tokenizer()
    ours = PromptTokenizer(shared, 77)
    assert len(ids(ours, "a <moss> b")) > 3
    shared.add_tokens(["<moss>", "<moss>_1"])
    first = shared.convert_tokens_to_ids("<moss>")
    assert ids(ours, "a <moss> b")[1:3] == [first, first + 1]


def test_one_copy_for_all_that_share_a_tokenizer():
    shared = clip_tokenizer()
    assert backend_of(shared) is backend_of(shared)
    assert backend_of(shared) is not backend_of(clip_tokenizer())
