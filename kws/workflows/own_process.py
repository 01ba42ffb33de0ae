"""What a process that was started for one job does: it ends when what started it is gone."""

from __future__ import annotations

import os
import threading


def end_with_input() -> None:
    """End this process when its input ends: what requested the job is gone, and nobody waits for the result.

    The thread that waits holds no lock of ``sys.stdin``, which processes that are forked off close first.
    """

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
