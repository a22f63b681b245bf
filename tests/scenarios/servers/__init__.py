"""Servers to run the scenarios against.

The product is Hearth. Prosody stands in to show that a scenario itself is right:
`HEARTH_TEST_SERVER=prosody tests/run --only scenarios` (needs the Debian package).
"""

import os

from .hearth import Hearth
from .process import Server
from .prosody import Prosody

KINDS = {"hearth": Hearth, "prosody": Prosody}


def kind() -> type[Server]:
    return KINDS[os.environ.get("HEARTH_TEST_SERVER", "hearth")]


__all__ = ["Hearth", "Prosody", "Server", "kind"]
