"""The index: a LanceDB table of pictures with a vector each, brought up to date, and asked. Opening one loads no torch."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clipcond.errors import CheckpointError, ClipcondError
from clipcond.search.hits import Hit, hit_of, nearest_of_each, told_once
from clipcond.search.table import approximately, lancedb_or_refuse, open_table

if TYPE_CHECKING:
    import numpy as np

    from clipcond.bulk import Engine
    from clipcond.score import ClipScorer
    from clipcond.search.updating import Update

ABOUT = "about.json"
METRIC: Final = "dot"  # of unit vectors: the cosine


@dataclass(frozen=True)
class Index:
    """Pictures and their vectors by one CLIP.

    Attributes:
        folder: of the database.
        asked: the CLIP, or its name; None: that which made the index, or "emoji" for a new one.
    """

    folder: Path
    asked: "str | ClipScorer | None" = None

    @classmethod
    def open(cls, path: str | Path, scorer: "str | ClipScorer | None" = None) -> "Index":
        """An index that is there, or is made by the first `add`.

        Args:
            path: its folder.
            scorer: the CLIP, or its name as `ClipScorer.from_pretrained` takes it; None: that which made the index, or "emoji"
                for a new one. It is loaded when it is first needed.

        Raises:
            ClipcondError: LanceDB is not installed, or the folder holds something else.
        """
        lancedb_or_refuse()
        folder = Path(path)
        if folder.exists() and not (folder / ABOUT).exists() and any(folder.iterdir()):
            raise ClipcondError(
                f"{folder}: holds something else than an index; name another folder"
            )
        return cls(folder, scorer)

    @property
    def about(self) -> dict[str, Any]:
        """Which CLIP made it.

        Raises:
            CheckpointError: nothing was added yet, or the file is damaged.
        """
        try:
            found: dict[str, Any] = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{self.folder}: holds no index ({error}); make one with clipcond search index"
            ) from error
        return found

    @cached_property
    def scorer(self) -> "ClipScorer":
        """The CLIP.

        Raises:
            CheckpointError: it is not there any more, or has other weights than that which made the index.
        """
        from clipcond.score import ClipScorer

        about = self.about if (self.folder / ABOUT).exists() else {"source": "emoji"}
        named = self.asked or about["source"]
        if named is None:
            raise CheckpointError(
                f"{self.folder}: was indexed with {about['scorer']}, which was given without a name; pass it to Index.open"
            )
        scorer = named if isinstance(named, ClipScorer) else ClipScorer.from_pretrained(named)
        if scorer.clip.digest != about.get("weights_sha256", scorer.clip.digest):
            raise CheckpointError(
                f"{self.folder}: was indexed with {about['scorer']} ({about['weights_sha256'][:12]}...), not with "
                f"{scorer.clip.name} ({scorer.clip.digest[:12]}...); take that one, or index into another folder"
            )
        return scorer

    def add(
        self,
        roots: Sequence[str | Path],
        *,
        engine: "Engine | None" = None,
        device: str | None = None,
    ) -> "Update":
        """Bring the index up to date with folders, archives and files: what is new comes in, what is gone goes out, what was
        moved keeps its vector. A run that was killed goes on when called again.

        Args:
            roots: pictures under them are indexed; those of other roots stay.
            engine: who does it (`clipcond.bulk.find_engine`); None: this process.
            device: of a worker; None: cuda where there is one.

        Raises:
            ClipcondError: a root that is not there, an index of another CLIP, or another process is writing to it.
        """
        from clipcond.bulk import claimed
        from clipcond.search.updating import Updating

        whole = [Path(root).resolve() for root in roots]
        for root in whole:
            if not root.exists():
                raise ClipcondError(f"{root}: no such folder or file; check the path")
        scorer = self.scorer
        about = self.about if (self.folder / ABOUT).exists() else self._new(scorer)
        with claimed(self.folder, about, parts="*.lance"):
            return Updating(self.folder, scorer).run(whole, engine, device)

    def _new(self, scorer: "ClipScorer") -> dict[str, Any]:
        """What a new index writes down."""
        named = (self.asked or "emoji") if isinstance(self.asked, str | None) else None
        return {
            "version": 1,
            "source": str(Path(named).resolve()) if named and Path(named).exists() else named,
            "scorer": scorer.clip.name,
            "weights_sha256": scorer.clip.digest,
            "preprocessing": scorer.clip.preprocessing.as_dict(),
            "dtype": str(scorer.clip.model.dtype).removeprefix("torch."),
            "dim": scorer.clip.architecture.dim,
        }

    @property
    def table(self) -> Any:
        """LanceDB's table, as of now.

        Raises:
            CheckpointError: there is none.
        """
        return open_table(self.folder)

    def __len__(self) -> int:
        """How many pictures."""
        count: int = self.table.count_rows()
        return count

    def search(
        self,
        query: "str | np.ndarray",
        *,
        where: str | None = None,
        top: int = 10,
        least: int | float | None = None,
        distinct: int | float | None = None,
        exact: bool = True,
    ) -> list[Hit]:
        """The nearest pictures, the nearest first.

        Args:
            query: a text; a picture's path; several with signs and weights ("2*a dog + ./x.jpg - snow"); or a vector.
            where: SQL over the columns (path, bytes, width, height, date, prompt, seed, generator, those of `tell`), applied before the nearest
                are taken.
            top: how many at most.
            least: cosine that they have at least.
            distinct: pictures with a cosine of this or more to a better one are told with it (`Hit.alike`), not by themselves.
            exact: whether an index of `tune` is passed by.

        Raises:
            ClipcondError: a `where` that is no SQL of these columns, or a number that makes no sense.
            ScoreError: a query that cannot be encoded.
        """
        _check_top(top)
        vector = self._vector(query)
        asked = self.table.search(vector, vector_column_name="vector").distance_type(METRIC)
        if where:
            asked = asked.where(where, prefilter=True)
        asked = asked.bypass_vector_index() if exact else approximately(asked)
        wanted = top if distinct is None else max(4 * top, 100)
        with _understood(where):
            rows = asked.limit(wanted).to_list()
        kept = [
            (hit, row["vector"])
            for hit, row in ((hit_of(row, 1.0 - row["_distance"]), row) for row in rows)
            if least is None or hit.score >= least
        ]
        return told_once(kept, distinct)[:top]

    def search_each(
        self, queries: "Sequence[str | np.ndarray]", *, where: str | None = None, top: int = 10
    ) -> list[list[Hit]]:
        """The nearest pictures of each of many queries, exactly, at the price of about one: the vectors are read once.

        Args:
            queries: each as `search` takes it.
            where: as there.
            top: how many of each at most.

        Raises:
            ClipcondError: a `where` that is no SQL of these columns, or a number that makes no sense.
            ScoreError: a query that cannot be encoded.
        """
        import numpy as np

        _check_top(top)
        if not queries:
            return []
        table = self.table
        rows = table.search().where(where) if where else table.search()
        with _understood(where):
            return nearest_of_each(table, rows, np.stack([self._vector(q) for q in queries]), top)

    def _vector(self, query: "str | np.ndarray") -> "np.ndarray":
        from clipcond.search.query import query_vector, read_query

        return query_vector(read_query(query), self.scorer) if isinstance(query, str) else query

    def tell(self, table: str | Path, *, file_column: str = "file") -> tuple[int, tuple[str, ...]]:
        """Write a table's columns to the pictures that it names (`clipcond.search.telling.tell`): captions, ratings, anything.

        Returns:
            (pictures that it tells about, files that are not in the index, a line each).

        Raises:
            ClipcondError: it cannot be read, has a column of the index's own, or another process is writing.
        """
        from clipcond.bulk import claimed
        from clipcond.search.telling import tell

        with claimed(self.folder, self.about, parts="*.lance"):
            return tell(self.table, Path(table), file_column=file_column)

    def groups(self, threshold: int | float = 0.98) -> list[list[str]]:
        """Paths of near duplicates, the largest group first (`clipcond.search.alike.groups`).

        Raises:
            ClipcondError: a threshold that is no cosine, or that too many pairs reach.
        """
        from clipcond.search.alike import groups

        return groups(self.folder, threshold)

    def clusters(self, threshold: int | float = 0.9, *, least: int = 3) -> list[list[str]]:
        """Paths of pictures of a kind, the largest group first, in each the middle one first (`clipcond.search.alike.clusters`).

        Raises:
            ClipcondError: a threshold that is no cosine, or that too many pairs reach.
        """
        from clipcond.search.alike import clusters

        return clusters(self.folder, threshold, least=least)

    def stats(self) -> dict[str, Any]:
        """What there is, JSON-able."""
        table, about = self.table, self.about
        count = table.count_rows()
        rows = (
            table.search()
            .select(["path", "bytes", "hash", "prompt", "date"])
            .limit(count or 1)
            .to_list()
        )
        endings: dict[str, int] = {}
        for row in rows:
            ending = Path(row["path"]).suffix.lower()
            endings[ending] = endings.get(ending, 0) + 1
        return {
            "pictures": count,
            "distinct": len({row["hash"] for row in rows}),
            "bytes": sum(row["bytes"] for row in rows),
            "with_prompt": sum(row["prompt"] is not None for row in rows),
            "with_date": sum(row["date"] is not None for row in rows),
            "endings": dict(sorted(endings.items(), key=lambda each: -each[1])),
            "scorer": about["scorer"],
            "weights_sha256": about["weights_sha256"],
            "dim": about["dim"],
            "index": [index.name for index in table.list_indices()],
            "on_disk": sum(
                file.stat().st_size for file in self.folder.rglob("*") if file.is_file()
            ),
        }

    def tune(self, *, queries: int = 100, top: int = 10) -> dict[str, int | float]:
        """Make an approximate index (IVF_PQ) for `search(exact=False)`, and say how good it is.

        Args:
            queries: vectors of the index that are asked for their neighbours, exactly and not.
            top: how many neighbours.

        Raises:
            ClipcondError: too few pictures, or another process is writing.
        """
        from clipcond.bulk import claimed
        from clipcond.search.tuning import tune

        with claimed(self.folder, self.about, parts="*.lance"):
            return tune(self.table, queries=queries, top=top, metric=METRIC)

    def remove(self, where: str) -> int:
        """Take pictures out by SQL over the columns; how many.

        Raises:
            ClipcondError: it is not understood, or another process is writing.
        """
        from clipcond.bulk import claimed

        with claimed(self.folder, self.about, parts="*.lance"):
            before = len(self)
            with _understood(where):
                self.table.delete(where)
            return before - len(self)


def _check_top(top: int) -> None:
    if top < 1:
        raise ClipcondError(f"top: got {top}; needs at least 1")


@contextmanager
def _understood(where: str | None) -> Iterator[None]:
    """What LanceDB makes of SQL that is none, in one line."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        if where is None:
            raise
        raise ClipcondError(
            f"where: {where!r} is not understood ({str(error).splitlines()[0][:200]})"
        ) from error
