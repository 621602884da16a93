"""Where the words of a conditioning are in what the denoiser reads, from its report."""

from collections.abc import Mapping

from clipcond.conditioning.report import EncoderReport, PromptReport, Report
from clipcond.errors import ClipcondError
from clipcond.families.contract import Family
from clipcond.families.inputs import Inputs
from clipcond.hooks.words import Text, Texts, Word


def texts_of(report: Report, family: Family, inputs: Inputs, pictures: int) -> Texts:
    """The texts of the positive side.

    Args:
        report: of the conditioning.
        family: of it.
        inputs: what was encoded for the side.
        pictures: of each prompt.

    Raises:
        ClipcondError: the report does not say where its words are.
    """
    rows, length = inputs.embeds.shape[:2]
    read = {
        role.slot: report.encoders[role.slot]
        for role in family.roles
        if role.sequence and role.slot in report.encoders
    }
    if any(len(seen.prompts) != rows for seen in read.values()):
        raise ClipcondError(
            "attention maps: this conditioning was made of two, so that no word of it has a place of its own; draw with "
            "one that a Conditioner gave"
        )
    starts = _starts(family, read)
    return Texts(
        tuple(
            _text({slot: seen.prompts[row] for slot, seen in read.items()}, starts)
            for row in range(rows)
        ),
        length,
        pictures,
    )


def _starts(family: Family, read: Mapping[str, EncoderReport]) -> dict[str, int]:
    """Where each encoder's states begin: those of CLIPs side by side, those of others after them."""
    windowed = {role.slot for role in family.roles if role.windowed}
    clips = [
        prompt.positions
        for slot, seen in read.items()
        if slot in windowed
        for prompt in (*seen.prompts, *seen.negative_prompts)
    ]
    behind = max(clips, default=0)
    return {slot: 0 if slot in windowed else behind for slot in read}


def _text(read: Mapping[str, PromptReport], starts: Mapping[str, int]) -> Text:
    encoders = []
    for slot, seen in read.items():
        if any(token.position is None for token in seen.tokens):
            raise ClipcondError(
                "attention maps: the file that this conditioning is from does not say where its words are; condition again"
            )
        encoders.append(
            tuple(
                Word(token.text, starts[slot] + (token.position or 0), token.vectors, token.goes_on)
                for token in seen.tokens
            )
        )
    cut = min((seen.cut for seen in read.values()), key=len)
    return Text(tuple(encoders), cut)
