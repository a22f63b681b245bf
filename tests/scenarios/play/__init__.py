"""Plays: XMPP conversations written down the way a reader would tell them.

`wire` speaks TCP, TLS and XML streams, `client` adds accounts and expectations, `stage` hands
fresh users to a test and takes everything down behind it.
"""

from .client import Client, Login
from .stage import Stage, User
from .wire import DEADLINE, StreamClosed, StreamFailed, Wire

__all__ = ["Client", "DEADLINE", "Login", "Stage", "StreamClosed", "StreamFailed", "User", "Wire"]
