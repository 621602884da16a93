"""Image search: pictures of folders and archives in a LanceDB table, found by texts, pictures and both."""

from clipcond.search.hits import Hit
from clipcond.search.index import Index

__all__ = ["Hit", "Index"]
