"""What a prompt says over a run, each thing once: what has to be encoded before the first step."""

from collections.abc import Iterable

from clipcond.prompt.tree import Fragment, Prompt

LONGEST = 150  # steps; a run of more has to be named

Said = tuple[tuple[str, float], ...]


def distinct(prompt: Prompt, steps: int | None) -> tuple[tuple[Fragment, ...], ...]:
    """The different things that a prompt says, by texts and weights, in the order in which they are first said.

    Args:
        prompt: one without branches, or one of its branches.
        steps: how many steps the run has; None: any number from `LONGEST` down to 1, the longest run first.

    Raises:
        ValueError: `steps` is less than 1.
        ClipcondError: there are several branches.
        PromptSyntaxError: weights that meet only at some step multiply to more than a number holds.
    """
    said: dict[Said, tuple[Fragment, ...]] = {}
    texts: set[str] = set()
    for run in _runs(prompt, steps):
        for last, text in prompt.schedule(run):
            if text in texts:
                continue
            texts.add(text)
            fragments = prompt.fragments(last - 1, run)
            said.setdefault(tuple((f.text, f.weight) for f in fragments), fragments)
    return tuple(said.values())


def _runs(prompt: Prompt, steps: int | None) -> Iterable[int]:
    if steps is not None:
        return (steps,)
    return range(LONGEST, 0, -1) if prompt.is_scheduled else (1,)
