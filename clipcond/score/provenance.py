"""How numbers were made, and the refusal to set numbers side by side that were made differently.

CLIP scores from other weights, another crop, another dtype or another variant are other quantities under one name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from clipcond.errors import ScoreError

_NAME, _DIGEST = "scorer", "weights_sha256"


@runtime_checkable
class Made(Protocol):
    """Whatever says how its numbers are made."""

    @property
    def provenance(self) -> dict[str, Any]:
        """What a number depends on, JSON-able."""
        ...


def require_same(provenances: Sequence[Mapping[str, Any]], *, action: str) -> None:
    """Refuse to join or compare results that were made differently.

    A checkpoint's name does not matter where digests of weights are there to tell.

    Args:
        provenances: of the results.
        action: what was asked for, e.g. "compared".

    Raises:
        ScoreError: naming every difference.
    """
    first = provenances[0]
    for other in provenances[1:]:
        found = list(_differences(_by_weights(first), _by_weights(other)))
        if found:
            raise ScoreError(
                f"scores that were made differently cannot be {action}: {'; '.join(found)}; "
                "score both in the same way"
            )


def _by_weights(provenance: Mapping[str, Any]) -> dict[str, Any]:
    named = _DIGEST not in provenance
    return {key: value for key, value in provenance.items() if named or key != _NAME}


def _differences(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """`where: this and that` for every leaf that differs."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            yield from _differences(
                first.get(key, "nothing"),
                second.get(key, "nothing"),
                f"{path}.{key}" if path else key,
            )
    elif first != second:
        yield f"{path} is {_short(first)} and {_short(second)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "..."
