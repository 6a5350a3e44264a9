"""The regulator's tool (R31): follow the chain, and say what somebody should look at."""

from medtoken.watch.books import Alert, Kind, WatchBooks
from medtoken.watch.volume import Volume, VolumeRule

__all__ = ["Alert", "Kind", "Volume", "VolumeRule", "WatchBooks"]
