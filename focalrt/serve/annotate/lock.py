"""A lock between processes that the system takes back when its holder dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    FAR = 2**62  # beyond the end of any photo, so that others can go on reading it

    @contextmanager
    def locked(path: Path) -> Iterator[None]:
        """Holds the lock of a file that is there, which itself is not touched. Waits for others. Raises OSError."""
        with path.open("rb") as file:
            file.seek(FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                file.seek(FAR)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    @contextmanager
    def locked(path: Path) -> Iterator[None]:
        """Holds the lock of a file that is there, which itself is not touched. Waits for others. Raises OSError."""
        with path.open("rb") as file:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
