"""Image search: pictures of folders and archives in a LanceDB table, found by texts, pictures and both."""

from clipcond.search.index import Hit, Index

__all__ = ["Hit", "Index"]
