"""Laws 1, 2 and 6: nothing asked for, nothing changed; batch mates do not matter; one forward a call."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcond import Conditioner
from tests.tiny import clip_tokenizer, tiny_pipeline

WORD = st.sampled_from(
    ["a", "red", "cat", "sky,", "12", "it's", "é", "日本", "x" * 9, "!", "\n", "\x00", "-"]
)
SHORT = st.lists(WORD, max_size=8).map(" ".join)
ANY = st.text(
    alphabet=st.characters(exclude_characters="()[]\\<", exclude_categories=["Cs"]), max_size=18
)
PLAIN = (SHORT | ANY).filter(lambda text: "BREAK" not in text)
WEIGHTED = st.lists(st.tuples(WORD, st.sampled_from([1.0, 0.4, 1.3, -1.0])), max_size=6).map(
    lambda parts: " ".join(word if weight == 1 else f"({word}:{weight})" for word, weight in parts)
)


@pytest.fixture(scope="module", params=["<|endoftext|>", "!"], ids=["SD1", "SD2"])
def pipe(request):
    return tiny_pipeline(pad=request.param)


@pytest.fixture(scope="module", params=["comfy", "none"])
def conditioner(request, pipe):
    return Conditioner.from_pipeline(pipe, weighting=request.param)


def encoded(pipe, prompt, negative):
    return pipe.encode_prompt(prompt, "cpu", 1, True, negative_prompt=negative)


@given(prompt=PLAIN, negative=st.none() | PLAIN)
def test_without_syntax_it_is_the_pipelines_own_encoding_bit_for_bit(
    pipe, conditioner, prompt, negative
):
    ours = conditioner(prompt, negative_prompt=negative)
    positive, negative = encoded(pipe, prompt, negative)
    assert torch.equal(ours.prompt_embeds, positive)
    assert torch.equal(ours.negative_prompt_embeds, negative)


@given(words=st.lists(WORD, min_size=1, max_size=6))
def test_weights_of_one_change_nothing(pipe, conditioner, words):
    plain = " ".join(words)
    ours = conditioner(
        "".join(f"(({word}:1.0):1) " for word in words).rstrip(" ") if plain.strip() else plain
    )
    theirs, _ = encoded(pipe, plain, None)
    assert torch.equal(ours.prompt_embeds, theirs)


def test_weights_inside_words_change_nothing_at_one(pipe):
    ours = Conditioner.from_pipeline(pipe)("(re:1.0)d c(a:1.0)t, wh(ite:1.0)")
    assert torch.equal(ours.prompt_embeds, encoded(pipe, "red cat, white", None)[0])


# what is not continuous at 1: a border that parts a word, which is then two
PARTED = {
    "(re:{w})d cat": "re d cat",
    "a red(cat:{w})": "a red cat",
    "sk(y, r:{w})ed": "sk y, r ed",
}


@pytest.mark.parametrize("mode", ["comfy", "a1111_no_norm", "attention_bias"])
@pytest.mark.parametrize(
    "text", ["(red:{w}) cat", "a (red cat:{w}), sky", "a [red](cat:{w})!", *PARTED]
)
def test_weights_near_one_are_nearly_nothing_but_where_they_part_a_word(pipe, mode, text):
    ours = Conditioner.from_pipeline(pipe, weighting=mode, dialect="comfy")
    near, one = ours(text.format(w=1 + 1e-6)), ours(text.format(w=1.0))
    if text in PARTED:
        assert not torch.allclose(near.prompt_embeds, one.prompt_embeds, atol=1e-3)
        one = ours(PARTED[text])
    torch.testing.assert_close(near.prompt_embeds, one.prompt_embeds, rtol=0, atol=1e-3)


def test_a_list_is_the_pipelines_own_batch(pipe, conditioner):
    prompts, negatives = ["a red cat", "a dog on the sky", ""], ["bad", "", "quality, x"]
    ours = conditioner(prompts, negative_prompt=negatives)
    positive, negative = encoded(pipe, prompts, negatives)
    assert torch.equal(ours.prompt_embeds, positive)
    assert torch.equal(ours.negative_prompt_embeds, negative)


def test_truncate_is_what_the_pipeline_does_with_a_long_prompt(pipe):
    prompt = "a red cat, " * 40
    with pytest.warns(UserWarning, match="dropped"):
        ours = Conditioner.from_pipeline(pipe, long_prompt="truncate")(prompt)
    assert torch.equal(ours.prompt_embeds, encoded(pipe, prompt, None)[0])


def test_attention_mask_follows_the_configuration():
    pipe = tiny_pipeline()
    pipe.text_encoder.config.use_attention_mask = True
    ours = Conditioner.from_pipeline(pipe)("a red cat", negative_prompt="bad")
    positive, negative = encoded(pipe, "a red cat", "bad")
    assert torch.equal(ours.prompt_embeds, positive)
    assert torch.equal(ours.negative_prompt_embeds, negative)


def test_a_shorter_encoder_is_followed():
    pipe = tiny_pipeline(max_positions=40)
    ours = Conditioner.from_pipeline(pipe)("a red cat")
    assert torch.equal(ours.prompt_embeds, encoded(pipe, "a red cat", None)[0])
    assert ours.prompt_embeds.shape[1] == 40


PIPE = tiny_pipeline()
CONDITIONER = Conditioner.from_pipeline(PIPE)


@given(prompts=st.lists(WEIGHTED, min_size=2, max_size=4), repeats=st.sampled_from([1, 40]))
def test_batch_mates_do_not_matter_and_only_append_empty_windows(prompts, repeats):
    prompts[0] = " ".join([prompts[0] or "cat"] * repeats)
    together = CONDITIONER(prompts)
    empty = CONDITIONER("").prompt_embeds[0]
    for i, prompt in enumerate(prompts):
        alone = CONDITIONER(prompt).prompt_embeds[0]
        own, rest = together.prompt_embeds[i].split(
            [len(alone), len(together.prompt_embeds[i]) - len(alone)]
        )
        torch.testing.assert_close(own, alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(rest, empty.repeat(len(rest) // 77, 1), rtol=0, atol=1e-5)


@given(
    prompts=st.lists(WEIGHTED, min_size=1, max_size=4),
    negative=st.none() | WEIGHTED,
    long=st.booleans(),
)
def test_one_forward_with_distinct_rows(prompts, negative, long):
    prompts = [f"{p} BREAK " + "red cat, " * 60 for p in prompts] if long else prompts
    seen = []
    handle = PIPE.text_encoder.register_forward_hook(
        lambda module, args, output: seen.append(args[0])
    )
    try:
        stats = CONDITIONER(prompts, negative_prompt=negative).stats
    finally:
        handle.remove()
    assert len(seen) == 1 == stats.calls
    rows = [tuple(row.tolist()) for row in seen[0]]
    assert len(set(rows)) == len(rows) == stats.rows == stats["text_encoder"].rows


@pytest.mark.parametrize(
    ("prompt", "negative", "rows"),
    [
        ("a cat", None, 2),
        ("", None, 1),
        ("a cat", "a cat", 1),
        ("a (red:1.3) cat and (blue:0.7) dog", None, 2),  # the empty row is the negative as well
        ("a (red:1.3) cat and (blue:0.7) dog", "bad", 3),
        (["a (red:1.3) cat"] * 4, None, 2),
        ("a BREAK b", None, 3),
    ],
)
def test_the_fewest_rows(prompt, negative, rows):
    assert CONDITIONER(prompt, negative_prompt=negative).stats.rows == rows


def test_a_typed_end_of_text_stays_text():
    ours = CONDITIONER("a cat <|endoftext|> dog")
    assert [t.text for t in ours.report.prompts[0].tokens][-1] == "dog"
    ids = clip_tokenizer()(
        "a cat <|endoftext|> dog",
        split_special_tokens=True,
        padding="max_length",
        return_tensors="pt",
    )
    with torch.no_grad():
        assert torch.equal(ours.prompt_embeds, PIPE.text_encoder(ids.input_ids)[0])
