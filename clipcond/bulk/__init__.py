"""Work in bulk: cut into shards, each done whole or not at all, so that a run can be killed at any moment and goes on.

A shard is a pure function of its items, and its file is there if and only if it is done. So nothing has to be kept but
the files: a run makes those that are missing, in this process, in several, or on a Ray cluster, and what comes out is the
same to the byte.
"""

from clipcond.bulk.engine import Engine, complete, find_engine
from clipcond.bulk.folder import claimed
from clipcond.bulk.shards import Finish, Shard, Work, batched, cut

__all__ = [
    "Engine",
    "Finish",
    "Shard",
    "Work",
    "batched",
    "claimed",
    "complete",
    "cut",
    "find_engine",
]
