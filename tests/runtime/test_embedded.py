"""The servers that Rushcart brings along."""

import asyncio
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from app.lib.migrate import MIGRATIONS, migrate
from app.runtime.embedded import EmbeddedServers, start_servers
from app.runtime.folders import mark_of
from app.runtime.process import find_marked, spawn

MIGRATION_FILES = sorted(MIGRATIONS.glob("*.sql"))

START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from app.runtime.embedded import start_servers
servers = start_servers(Path(sys.argv[1]), durable=False)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def note(servers: EmbeddedServers, text: str) -> None:
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS note (line text)")
    await connection.execute("INSERT INTO note VALUES ($1)", text)
    await connection.close()
    with redis.Redis.from_url(servers.redis_url) as client:
        client.rpush("note", text)


async def notes(servers: EmbeddedServers) -> tuple[list[str], list[str]]:
    connection = await asyncpg.connect(servers.database_url)
    lines = [row["line"] for row in await connection.fetch("SELECT line FROM note ORDER BY line")]
    await connection.close()
    with redis.Redis.from_url(servers.redis_url) as client:
        return lines, [line.decode() for line in client.lrange("note", 0, -1)]


def start_and_die(data_dir: Path) -> None:
    subprocess.run([sys.executable, "-c", START_AND_DIE, str(data_dir)], check=False)


def running(data_dir: Path) -> list[psutil.Process]:
    mark = mark_of(data_dir)
    return find_marked("postgres", mark) + find_marked("valkey-server", mark)


async def test_each_server_can_be_killed_and_started_while_the_other_runs(
    own_servers: EmbeddedServers,
) -> None:
    await note(own_servers, "before")
    valkey_pid = own_servers.valkey.pid

    own_servers.postgres.kill()
    assert own_servers.postgres.pid is None
    own_servers.postgres.start()
    assert own_servers.valkey.pid == valkey_pid

    own_servers.valkey.kill()
    own_servers.valkey.start()
    assert await notes(own_servers) == (["before"], ["before"])


async def test_what_was_committed_is_kept_by_a_kill_and_by_a_restart(tmp_path: Path) -> None:
    servers = start_servers(tmp_path, durable=True)
    try:
        await note(servers, "committed")
        servers.postgres.kill()
        servers.postgres.start()
        assert await notes(servers) == (["committed"], ["committed"])
        servers.stop()
        assert running(tmp_path) == []
        servers.postgres.start()
        servers.valkey.start()
        assert await notes(servers) == (["committed"], ["committed"])
    finally:
        servers.stop()


async def test_servers_end_with_a_parent_that_was_killed_and_can_be_started_at_once(tmp_path: Path) -> None:
    start_and_die(tmp_path)
    servers = start_servers(tmp_path, durable=False)
    try:
        await note(servers, "after")
        assert {process.pid for process in running(tmp_path)} == {servers.postgres.pid, servers.valkey.pid}
    finally:
        servers.stop()

    start_and_die(tmp_path)
    if sys.platform == "linux":  # elsewhere the next start ends them
        psutil.wait_procs(running(tmp_path), timeout=20)
        assert running(tmp_path) == []
    servers.stop()  # takes the socket folders away


async def test_a_start_ends_the_servers_left_on_its_folder_and_no_others(
    tmp_path: Path, own_servers: EmbeddedServers
) -> None:
    others = (own_servers.postgres.pid, own_servers.valkey.pid)
    left = start_servers(tmp_path / "left", durable=False)
    left_pids = {left.postgres.pid, left.valkey.pid}

    started = start_servers(tmp_path / "left", durable=False)
    try:
        assert {process.pid for process in running(tmp_path / "left")}.isdisjoint(left_pids)
        assert (left.postgres.pid, left.valkey.pid) == (None, None)
        assert (own_servers.postgres.pid, own_servers.valkey.pid) == others
        await note(started, "works")
    finally:
        started.stop()
        left.stop()


async def test_a_deep_and_closed_data_folder_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    deep.parent.chmod(0o700)
    servers = start_servers(deep, durable=False)
    try:
        await note(servers, "deep")
        assert await notes(servers) == (["deep"], ["deep"])
        assert deep.parent.stat().st_mode & 0o777 == 0o700
    finally:
        servers.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user")
@pytest.mark.parametrize(("all_folders", "expected"), [(True, 0), (False, 1)])
def test_a_process_of_another_user_passes_closed_folders_only_when_allowed(
    tmp_path: Path, all_folders: bool, expected: int
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.touch(mode=0o700)
    process = spawn(
        ["/usr/bin/test", "-x", program],
        log=None,
        death_signal=signal.SIGKILL,
        user=pwd.getpwnam("nobody"),
        all_folders=all_folders,
    )
    assert process.wait(10) == expected
    assert closed.stat().st_mode & 0o777 == 0o700


def test_only_the_owner_can_open_the_sockets_and_postgres_is_not_root(servers: EmbeddedServers) -> None:
    postgres_folder = Path(servers.database_url.partition("host=")[2])
    valkey_folder = Path(servers.redis_url.removeprefix("unix://").partition("?")[0]).parent
    assert postgres_folder.stat().st_mode & 0o777 == 0o700
    assert valkey_folder.stat().st_mode & 0o777 == 0o700
    assert servers.postgres.pid is not None
    uid = psutil.Process(servers.postgres.pid).uids().effective
    assert uid != 0 if os.geteuid() == 0 else uid == os.geteuid()


async def test_migrations_that_start_at_once_apply_each_file_once(tmp_path: Path) -> None:
    servers = start_servers(tmp_path, durable=False)
    try:
        await asyncio.gather(*(migrate(servers.database_url) for _ in range(3)))
        connection = await asyncpg.connect(servers.database_url)
        assert await connection.fetchval("SELECT count(*) FROM schema_migrations") == len(MIGRATION_FILES)
        await connection.close()
    finally:
        servers.stop()


async def test_every_test_has_an_empty_database_of_its_own(database_url: str, redis_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM shop") == 0
    await connection.close()
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
