"""The folder of an installation: who may use it, on which ports, and what others need to speak to it.

In: the settings that were asked for. Out: a locked folder, free ports, and a file with addresses and secrets.
Must hold: one `rushcart run` a folder; the secrets are random, made once, and readable by the owner alone.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.settings import (
    DEMO_EVENT_SECRET,
    DEMO_JWT_SECRET,
    DEMO_PROVIDER_API_KEY,
    INSTALLATION_FILE,
    Settings,
)

# What another command needs to speak to this installation; everything else keeps its default.
STORED = (
    "host",
    "port",
    "database_url",
    "redis_url",
    "jwt_secret",
    "event_secrets",
    "sandbox_url",
    "sandbox_api_key",
)
# The provider's port, this far above the API's: installations on neighbouring ports do not meet.
PROVIDER_PORT_STEP = 1000
PORT_MAX = 65_535
# A flash sale's buyers all connect in one second; the kernel holds them until the process accepts.
LISTEN_BACKLOG = 4_096
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


class FolderInUseError(Exception):
    """Another `rushcart run` has this folder."""


class PortInUseError(Exception):
    """Somebody listens on the port already."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder; the system gives it back however we end. Raises FolderInUseError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FolderInUseError(
                f"Rushcart already runs on {folder} (process {file.read().strip()}).\n"
                "Stop it first, or start another one with --data-dir OTHER --port OTHER."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` sockets on one port, among which the system spreads the connections. Raises PortInUseError.

    They are made here and handed to the API processes: while one of those restarts, its buyers wait in the
    socket's queue instead of being refused.
    """
    # Without SO_REUSEPORT: somebody else's socket, also one that shares its port, is noticed.
    _bind(host, port, share=False).close()
    sockets = [_bind(host, port, share=True) for _ in range(count)]
    for bound in sockets:
        bound.listen(LISTEN_BACKLOG)
    return sockets


def provider_port(host: str, api_port: int) -> int:
    """A free port for the sandbox provider: a fixed step above the API's, else any."""
    wanted = api_port + PROVIDER_PORT_STEP
    with contextlib.suppress(PortInUseError):
        if wanted <= PORT_MAX:
            _bind(host, wanted, share=False).close()
            return wanted
    with _bind(host, 0, share=False) as bound:
        return int(bound.getsockname()[1])


def address(host: str, port: int) -> str:
    """Where a program on this machine finds what listens there."""
    if host in WILDCARDS:
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104 - compared with, not bound to
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def with_secrets(settings: Settings) -> Settings:
    """The same settings with random secrets where there are only the demo's."""
    return msgspec.structs.replace(
        settings,
        jwt_secret=_own(settings.jwt_secret, DEMO_JWT_SECRET),
        event_secrets=tuple(_own(secret, DEMO_EVENT_SECRET) for secret in settings.event_secrets),
        sandbox_api_key=_own(settings.sandbox_api_key, DEMO_PROVIDER_API_KEY),
    )


def store(settings: Settings) -> None:
    """Write the installation file: whole or not at all, for the owner's eyes only."""
    file = Path(settings.data_dir) / INSTALLATION_FILE
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    content = msgspec.json.encode({name: getattr(settings, name) for name in STORED})
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(msgspec.json.format(content, indent=2) + b"\n")
    new.rename(file)


def _own(secret: str, demo: str) -> str:
    return secrets.token_urlsafe(32) if secret == demo else secret


def _bind(host: str, port: int, *, share: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortInUseError(_explain(host, port, error)) from None
    return bound


def _explain(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use.\nChoose another one: --port {port + 1}"
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} needs more rights.\nChoose one above 1023: --port 8000"
    return f"Cannot listen on {host} port {port}: {error.strerror}.\nChoose another --host or --port."
