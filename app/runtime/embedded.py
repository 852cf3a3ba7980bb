"""Both embedded servers of one installation, started and stopped together.

In: the data folder. Out: the URLs of a running Postgres and a running Valkey that use it.
Must hold: either both run or neither.
"""

from dataclasses import dataclass
from pathlib import Path

from app.runtime.postgres import PostgresServer
from app.runtime.valkey import ValkeyServer


@dataclass(frozen=True)
class EmbeddedServers:
    """The pair; the tests' faults reach each by itself."""

    postgres: PostgresServer
    valkey: ValkeyServer

    @property
    def database_url(self) -> str:
        """Of the ledger."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """Of the gate."""
        return self.valkey.url

    def stop(self) -> None:
        """Stop both; at most half a minute."""
        self.valkey.stop()
        self.postgres.stop()


def start_servers(data_dir: Path, *, durable: bool = True) -> EmbeddedServers:
    """Start both on `data_dir`, making it if needed. Raises ServerStartError, FolderTakenError."""
    servers = EmbeddedServers(PostgresServer(data_dir, durable=durable), ValkeyServer(data_dir))
    try:
        servers.postgres.start()
        servers.valkey.start()
    except BaseException:
        servers.stop()
        raise
    return servers
