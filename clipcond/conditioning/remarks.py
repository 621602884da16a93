"""What is said of a prompt beside its tokens: what was dropped of it, and what it asks for in vain."""

import warnings
from collections.abc import Sequence

from clipcond.conditioning.report import ReportedToken
from clipcond.conditioning.rules import ONE_WINDOW, Rules
from clipcond.errors import PromptCutWarning, PromptTooLongError
from clipcond.prompt import DIALECTS, Diagnostic, Prompt
from clipcond.tokens import Tokenizer

_QUOTED = 200
_LISTED = 5


def complain(dropped: str, tokenizer: Tokenizer, long_prompt: str) -> None:
    """Say what of a prompt the encoder will not see; nothing if that is "".

    Raises:
        PromptTooLongError: under the policy "error".
    """
    if not dropped:
        return
    room = tokenizer.frame.room
    quoted = dropped if len(dropped) <= _QUOTED else f"{dropped[:_QUOTED]}..."
    if long_prompt == "error":
        windows = '"a1111" (several windows) or ' if tokenizer.windowed else ""
        raise PromptTooLongError(
            f"the prompt is longer than the {room} tokens that fit; this is too much: {quoted!r}. Shorten it, or "
            f'take long_prompt={windows}"truncate"'
        )
    warnings.warn(
        f"the prompt is longer than the {room} tokens that fit; dropped: {quoted!r}",
        PromptCutWarning,
        stacklevel=7,
    )


def remarks(
    prompt: Prompt, tokens: Sequence[ReportedToken], tokenizer: Tokenizer, rules: Rules
) -> list[Diagnostic]:
    """Words and signs of a prompt that say nothing to its encoder."""
    notes = []
    pad = tokenizer.frame.pad  # where it is EOS as well, no content has it
    if any(token.id == pad for token in tokens):
        at = max(0, prompt.text.find(tokenizer.pad_text))
        notes.append(
            Diagnostic(
                f"{tokenizer.pad_text!r} is this tokenizer's padding token and says nothing",
                (at, at + len(tokenizer.pad_text)),
                "leave it out",
            )
        )
    parts = [part for part, _ in prompt.branches]
    breaks = any(s.is_break for part in parts for s in part.segments())
    if breaks and (rules.long_prompt in ONE_WINDOW or not tokenizer.windowed):
        at = max(0, prompt.text.find("BREAK"))
        why = (
            f"under the policy {rules.long_prompt!r}"
            if tokenizer.windowed
            else "for an encoder that reads one row"
        )
        notes.append(
            Diagnostic(
                f"BREAK ends no window {why}",
                (at, at + len("BREAK")),
                'take long_prompt="a1111"' if tokenizer.windowed else "",
            )
        )
    unknown = list(dict.fromkeys(token.text for token in tokens if token.unknown))
    if unknown:
        more = ", ..." if len(unknown) > _LISTED else ""
        at = max(0, prompt.text.find(unknown[0]))
        notes.append(
            Diagnostic(
                f"not in this tokenizer's vocabulary, so that the encoder reads only that something is there: "
                f"{', '.join(map(repr, unknown[:_LISTED]))}{more}",
                (at, at + len(unknown[0])),
                "say it in words that it knows",
            )
        )
    return notes


def unmet_remarks(prompt: Prompt, unmet: Sequence[str], rules: Rules) -> list[Diagnostic]:
    """Textual inversions that a prompt asks for and its encoder has not."""
    done = "left out, as in ComfyUI" if DIALECTS[rules.dialect].drops_unmet else "read as text"
    notes = []
    for asked in dict.fromkeys(unmet):
        at = max(0, prompt.text.find(asked))
        notes.append(
            Diagnostic(
                f"{asked!r} names no textual inversion that this encoder has: {done}",
                (at, at + len(asked)),
                "give the file to with_inversions, or leave the word out",
            )
        )
    return notes
