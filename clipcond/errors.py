"""The exception tree: everything this library raises on purpose.

ClipcondError
├── PromptSyntaxError         a prompt that its dialect cannot mean (strict mode, or an overflowing weight)
├── PromptTooLongError        a prompt over the encoder's length, under the policy "error"
├── CheckpointError           a model folder or file that cannot be read, or is not what it should be
├── ScoreError                images or prompts that cannot be scored
└── UnsupportedPipelineError  a pipeline whose text inputs this library does not know

PromptCutWarning (a UserWarning)  words of a prompt were dropped, under the policy "truncate"
PromptConversionWarning (a UserWarning)  a prompt's meaning was not kept in another dialect
ScoreTruncatedWarning (a UserWarning)  texts counted without their ends, and the result has no place to say so
WeightingWarning (a UserWarning)  a weighting mode could not do all of what it is for
CacheWarning (a UserWarning)  a cache's disk cannot be used, and it goes on without
LoraWarning (a UserWarning)  a LoRA's file holds more than was loaded
CircularScoreWarning (a UserWarning)  pictures were scored by the CLIP that conditioned them
HeldOutWarning (a UserWarning)  a choice of pictures is no better to another judge

Each message quotes what the user gave and names the repair.
"""

_EXCERPT_BEFORE = 48
_EXCERPT_AFTER = 24


class ClipcondError(Exception):
    """Anything that went wrong in clipcond and is the input's doing."""


class PromptSyntaxError(ClipcondError):
    """A prompt that cannot be understood; prints the prompt with a caret under the trouble.

    Args:
        message: what was found and what was expected.
        text: the whole prompt.
        span: (start, end) in characters of `text`.
        hint: how to repair it, or "".
    """

    def __init__(self, message: str, text: str, span: tuple[int, int], hint: str = "") -> None:
        self.message, self.text, self.span, self.hint = message, text, span, hint
        tail = f"\nhint: {hint}" if hint else ""
        super().__init__(f"{message}\n{point_at(text, span)}{tail}")


class PromptTooLongError(ClipcondError):
    """A prompt longer than the encoder reads, where cutting and chunking were both declined."""


class CheckpointError(ClipcondError):
    """A model folder or file that is missing, damaged or of another kind."""


class ScoreError(ClipcondError):
    """Images or prompts that cannot be scored."""


class UnsupportedPipelineError(ClipcondError):
    """A diffusion pipeline whose text inputs are not known here."""


class PromptCutWarning(UserWarning):
    """Words of a prompt were dropped because the policy "truncate" was asked for."""


class PromptConversionWarning(UserWarning):
    """A prompt does not mean the same in the dialect it was converted to."""


class ScoreTruncatedWarning(UserWarning):
    """Texts longer than CLIP reads counted without their ends, in a result that is a bare tensor."""


class WeightingWarning(UserWarning):
    """A weighting mode could not do all of what it is for, and says what it did instead."""


class CacheWarning(UserWarning):
    """A cache's disk is full, read-only or gone: everything is encoded as if nothing had been kept there."""


class LoraWarning(UserWarning):
    """A LoRA's file brings textual inversions along, which are not loaded with it."""


class CircularScoreWarning(UserWarning):
    """The scorer's text tower also conditioned the pictures, so their scores flatter them."""


class HeldOutWarning(UserWarning):
    """What was chosen scores higher with the scorer that chose it, but not with the judge."""


def point_at(text: str, span: tuple[int, int]) -> str:
    """Two lines: the prompt around `span`, printable and shortened, and carets under the span."""
    start, end = span
    left, right = max(0, start - _EXCERPT_BEFORE), min(len(text), start + _EXCERPT_AFTER)
    head = ("..." if left else "") + printable(text[left:start])
    marked = printable(text[start : min(end, right)])
    tail = printable(text[min(end, right) : right]) + ("..." if right < len(text) else "")
    carets = " " * len(head) + "^" * max(1, len(marked))
    return f"  {head}{marked}{tail}\n  {carets}"


def printable(text: str) -> str:
    """One visible line: control characters, newlines and lone surrogates become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
