"""Prompts that change over the steps, are composed or stand in places, as prompts that each say one thing; and the
scripts that say when, and how they go together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipcond.conditioning.texts import Texts
from clipcond.errors import ClipcondError
from clipcond.families.contract import Role
from clipcond.families.inputs import NEGATIVE, POSITIVE, Sides
from clipcond.hooks.program import Constant, Part, Place, Script, Scripts, Steps, Track, plain
from clipcond.hooks.region import Region
from clipcond.prompt import Prompt, parse
from clipcond.prompt.states import State, distinct, said
from clipcond.prompt.tree import Fixed, Fragment, shortened

Regions = Sequence[Region] | Sequence[Sequence[Region]]
# what the first text encoder reads, the second, ...
Together = tuple[Prompt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Everything that is said in a call.

    Attributes:
        sides: for each side its rows, each what all encoders read together, and says one thing.
        scripts: what each of the call's prompts says when, of those rows.
        zeros: whether the negative side is zeros.
        negative_given: whether the caller gave a negative prompt.
    """

    sides: Sides[tuple[Together, ...]]
    scripts: Scripts
    zeros: bool
    negative_given: bool

    def of(self, role: Role) -> Sides[list[Prompt]]:
        """What one encoder reads."""
        return {
            side: [together[role.prompt - 1] for together in rows]
            for side, rows in self.sides.items()
        }


def unfold(
    texts: Texts, dialect: str, steps: int | None, regions: Sequence[Sequence[Region]]
) -> Spoken:
    """Every row that is to be encoded for a call.

    Args:
        texts: of the call.
        dialect: that they are written in.
        steps: of the run; None for any number up to 150.
        regions: for each prompt, what stands in places; empty for no prompt.

    Raises:
        PromptSyntaxError: one that its dialect cannot mean.
        ClipcondError: AND where nothing can be composed.
    """
    if steps is not None and steps < 1:
        raise ClipcondError(f"steps: got {steps}; a run has at least 1")
    sides: dict[str, tuple[Together, ...]] = {}
    scripts: dict[str, tuple[Script, ...]] = {}
    for side, columns in texts.sides.items():
        # a pipeline's own text is no one's prompt: Fibo 2's is JSON, full of brackets
        own = side == NEGATIVE and not texts.negative_given
        rows = _Rows("plain" if own else dialect, steps)
        places = regions if side == POSITIVE and regions else [()] * len(columns[0])
        scripts[side] = tuple(
            rows.script(together, there, side)
            for together, there in zip(zip(*columns, strict=True), places, strict=True)
        )
        sides[side] = tuple(rows.found)
    if texts.zeros:
        scripts[NEGATIVE] = plain(len(texts.sides[POSITIVE][0]))
    return Spoken(
        sides=sides, scripts=scripts, zeros=texts.zeros, negative_given=texts.negative_given
    )


def regions_of(regions: Regions, texts: Texts) -> list[Sequence[Region]]:
    """The regions of each prompt; none of no prompt where there are none.

    Raises:
        ClipcondError: what is no region, or not as many sequences of them as prompts.
    """
    count = len(texts.sides[POSITIVE][0])
    if not regions:
        return []
    alone = count == 1 and isinstance(regions[0], Region)
    each: list[Sequence[Region]] = []
    for there in [regions] if alone else regions:
        if isinstance(there, Region) or not all(isinstance(region, Region) for region in there):
            raise ClipcondError(
                "regions: pass clipcond.Region(...) objects; of several prompts, a list of them for each prompt"
            )
        each.append([region for region in there if isinstance(region, Region)])
    if len(each) != count:
        raise ClipcondError(
            f"regions: {len(each)} lists for {count} prompts; pass one for each prompt, [] for none"
        )
    return each


class _Rows:
    """A side's rows as they come up."""

    def __init__(self, dialect: str, steps: int | None) -> None:
        self.dialect, self.steps = dialect, steps
        self.found: list[Together] = []
        self.known: dict[str, Prompt] = {}

    def script(self, texts: Sequence[str], regions: Sequence[Region], side: str) -> Script:
        """What one of the call's prompts says."""
        prompts = tuple(self._read(text) for text in texts)
        if any(prompt.joined == "compose" for prompt in prompts):
            _check_composed(prompts, regions, side)
            whole, first = prompts[0], len(self.found)
            parts = tuple(
                Part(self._track((branch,) * len(prompts)), operator, weight)
                for (branch, weight), operator in zip(whole.branches, whole.operators, strict=True)
            )
            self.found[first:] = [tuple(map(_begun, row)) for row in self.found[first:]]
        else:
            parts = (Part(self._track(prompts)),)
        return Script(parts, tuple(self._place(region, len(texts)) for region in regions))

    def _place(self, region: Region, encoders: int) -> Place:
        prompt = self._read(region.prompt)
        if prompt.joined == "compose":
            raise ClipcondError(
                f"the prompt of a region, {shortened(region.prompt)!r}, joins prompts with AND; give each a region"
            )
        return Place(region, self._track((prompt,) * encoders))

    def _read(self, text: str) -> Prompt:
        if text not in self.known:
            self.known[text] = parse(text, dialect=self.dialect).without_tags
        return self.known[text]

    def _track(self, prompts: Together) -> Track:
        """The rows of what prompts say together, put at the end of those found."""
        if not any(prompt.is_scheduled for prompt in prompts):
            self.found.append(prompts)
            return Constant(len(self.found) - 1)
        states = distinct(prompts, self.steps)
        first = len(self.found)
        self.found += [_fixed(prompts, state) for state in states]
        if len(states) == 1:
            return Constant(first)
        return Steps(prompts, {said(state): first + n for n, state in enumerate(states)})


def _fixed(prompts: Together, state: State) -> Together:
    """The prompts as they are in a state."""
    return tuple(
        replace(prompt, content=Fixed("".join(f.text for f in fragments), fragments))
        if prompt.is_scheduled
        else prompt
        for prompt, fragments in zip(prompts, state, strict=True)
    )


def _begun(prompt: Prompt) -> Prompt:
    """What is said after AND, without the blank before its first word, which a language model would read."""
    head, *rest = prompt.fragments() or (Fragment("", 1.0, (0, 0)),)
    text = head.text.lstrip()
    if text == head.text:
        return prompt
    begun = Fragment(text, head.weight, (head.span[1] - len(text), head.span[1]))
    pieces = (begun, *rest) if text else tuple(rest)
    return replace(prompt, content=Fixed(prompt.content.text.lstrip(), pieces))


def _check_composed(prompts: Together, regions: Sequence[Region], side: str) -> None:
    text = shortened(prompts[0].text)
    if side == NEGATIVE:
        raise ClipcondError(
            f"the negative prompt {text!r} joins prompts with AND, and only prompts are composed: part them by commas; if it "
            'is a word to be read, write "and", or "AN()D" in capitals'
        )
    if any(prompt.text != prompts[0].text for prompt in prompts):
        raise ClipcondError(
            f"the prompt {text!r} is composed with AND, and prompt_2 or prompt_3 says something else: leave those out"
        )
    if regions:
        raise ClipcondError(
            f"the prompt {text!r} is composed with AND: give its parts as regions, or leave regions out"
        )
