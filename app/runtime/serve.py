"""`rushcart api`: one API process on one socket.

In: the settings, and the socket that `rushcart run` made (or none: it makes its own). Out: after SIGTERM,
when every accepted request has its answer. Must hold: the client's address is what the connection says,
since forwarded headers can be forged by anyone who reaches the port.
"""

import socket
from collections.abc import Awaitable, Callable

import uvicorn
from litestar.types import ASGIApp

from app.http import create_app
from app.lib.hot import Front
from app.lib.log import configure
from app.runtime.installation import LISTEN_BACKLOG, PortInUseError, listen
from app.runtime.protocol import BoundedHead, HotLane
from app.settings import Settings

# Longer than the slowest answer (a commit of unknown outcome), shorter than the wait before a SIGKILL.
DRAIN_S = 20
# Load balancers keep idle connections for 60 s; closing first makes them fail a request now and then.
KEEP_ALIVE_S = 75


def serve(settings: Settings, *, descriptor: int | None) -> None:
    """Serve until a signal. Raises SystemExit when it cannot start."""
    settings.check()
    configure(settings.log_level, process="api")
    app = create_app(settings)
    server = build_server(app)
    server.before_shutdown = app.end_streams
    server.run(sockets=[_listener(settings, descriptor)])
    if not server.started:
        raise SystemExit("The API did not start: see the log above.")


class Server(uvicorn.Server):
    """uvicorn's server, which waits for every answer before it stops: those without an end are told first."""

    before_shutdown: Callable[[], Awaitable[None]] | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.before_shutdown is not None:
            await self.before_shutdown()
        await super().shutdown(sockets)


def build_server(app: ASGIApp) -> Server:
    """The server as the API has it; the bench measures its echoes on the same."""
    return Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=HotLane if isinstance(app, Front) else BoundedHead,
            ws="none",
            lifespan="on",
            access_log=False,  # the metrics count; a line a request would cost more than pricing it
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=LISTEN_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=DRAIN_S,
        )
    )


def _listener(settings: Settings, descriptor: int | None) -> socket.socket:
    if descriptor is not None:
        return socket.socket(fileno=descriptor)
    try:
        (listener,) = listen(settings.host, settings.port, 1)
    except PortInUseError as error:
        raise SystemExit(str(error)) from None
    return listener
