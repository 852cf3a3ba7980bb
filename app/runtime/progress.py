"""What `rushcart run` says: steps with a spinner on a terminal, plain lines elsewhere.

In: the steps as they begin and end. Out: lines on stdout until `ready` (its last), then on stderr.
Must hold: a terminal that was closed, or a reader that went away, stops nothing.
"""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console


class Progress:
    """Writes the steps; `console` decides by itself whether it has a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._errors = Console(highlight=False, soft_wrap=True, stderr=True)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step; its line says how long it took."""
        began = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(what):
                yield
        else:
            yield
        self.say(f"  {what:<34} {time.monotonic() - began:5.1f} s")

    def say(self, text: str) -> None:
        """One line (or more) on stdout."""
        with contextlib.suppress(OSError):
            self._console.print(text, markup=False)
            sys.stdout.flush()

    def warn(self, text: str) -> None:
        """One line (or more) on stderr."""
        with contextlib.suppress(OSError):
            self._errors.print(text, markup=False)
