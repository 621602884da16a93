"""What prompts say over a run, each thing once: what has to be encoded before the first step."""

from collections.abc import Iterable, Sequence

from clipcond.prompt.tree import Fragment, Prompt

LONGEST = 150  # steps; a run of more has to be named

# the texts and weights of each of several prompts at a step
Said = tuple[tuple[tuple[str, float], ...], ...]
State = tuple[tuple[Fragment, ...], ...]


def said(state: State) -> Said:
    """What tells two states apart: texts and weights, not where they stand in a source."""
    return tuple(tuple((f.text, f.weight) for f in fragments) for fragments in state)


def distinct(prompts: Sequence[Prompt], steps: int | None) -> tuple[State, ...]:
    """The different things that prompts read together say, in the order in which they are first said.

    Args:
        prompts: without branches, or branches themselves: what the first text encoder reads, the second, ...
        steps: how many steps the run has; None: any number from `LONGEST` down to 1, the longest run first.

    Raises:
        ValueError: `steps` is less than 1.
        ClipcondError: there are several branches.
        PromptSyntaxError: weights that meet only at some step multiply to more than a number holds.
    """
    found: dict[Said, State] = {}
    seen: set[tuple[str, ...]] = set()
    for run in _runs(prompts, steps):
        rows = [prompt.schedule(run) for prompt in prompts]
        for last in sorted({last for row in rows for last, _ in row}):
            texts = tuple(next(text for end, text in row if end >= last) for row in rows)
            if texts in seen:
                continue
            seen.add(texts)
            state = tuple(prompt.fragments(last - 1, run) for prompt in prompts)
            found.setdefault(said(state), state)
    return tuple(found.values())


def _runs(prompts: Sequence[Prompt], steps: int | None) -> Iterable[int]:
    if steps is not None:
        return (steps,)
    return range(LONGEST, 0, -1) if any(prompt.is_scheduled for prompt in prompts) else (1,)
