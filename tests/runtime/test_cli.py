"""The command `rushcart`, as a person meets it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncpg
import jwt
import pytest

from app.lib.migrate import MIGRATIONS, check_schema
from app.runtime.children import ROOT
from app.settings import DEMO_JWT_SECRET


def rushcart(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments, "--data-dir", str(data_dir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_token_carries_who_and_what(tmp_path: Path) -> None:
    done = rushcart("token", "--sub", "m1", "--role", "merchant", "--shop-id", "7", "--ttl-s", "60",
                    data_dir=tmp_path)  # fmt: skip
    claims = jwt.decode(done.stdout.strip(), DEMO_JWT_SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["role"], claims["shop_id"]) == ("m1", "merchant", "7")


@pytest.mark.parametrize("options", [["--role", "merchant"], ["--role", "buyer", "--shop-id", "7"]])
def test_only_a_merchants_token_has_a_shop(tmp_path: Path, options: list[str]) -> None:
    done = rushcart("token", "--sub", "m1", *options, data_dir=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a merchant needs --shop-id" in done.stderr


def test_without_a_database_a_command_says_what_to_do(tmp_path: Path) -> None:
    done = rushcart("migrate", data_dir=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("No database: set DATABASE_URL and REDIS_URL")


COMMANDS = ["audit", "reconcile", "seed", "api", "worker", "migrate"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_in_a_line_that_the_database_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    done = rushcart(command, data_dir=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Connect call failed" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["api", "worker", "migrate"])
@pytest.mark.parametrize(
    ("variable", "address", "why"),
    [
        ("DATABASE_URL", "no-address", "one begins with postgresql:// or postgres://."),
        ("DATABASE_URL", "postgres://u:secret@h:none/x", "Port could not be cast"),
        ("REDIS_URL", "foo", "one begins with redis:// or rediss:// or unix://."),
        ("REDIS_URL", "redis://u:secret@h:99999", "Port out of range"),
    ],
)
def test_a_command_says_in_a_line_which_address_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, variable: str, address: str, why: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv(variable, address)
    done = rushcart(command, data_dir=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"{variable} is no address: {why}")
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", ["api", "worker", "audit"])
@pytest.mark.parametrize("lacking", ["all", "the last"])
async def test_a_command_names_the_way_out_of_an_older_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, command: str, lacking: str
) -> None:
    connection = await asyncpg.connect(database_url)
    last = await connection.fetchval("SELECT max(version) FROM schema_migrations")
    if lacking == "all":
        await connection.execute("DROP TABLE schema_migrations")
    else:
        await connection.execute("DELETE FROM schema_migrations WHERE version = $1", last)
    await connection.close()
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    done = await asyncio.to_thread(rushcart, command, data_dir=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    first = "0001" if lacking == "all" else last
    assert f"({first} is the first): run `rushcart migrate`." in done.stderr


async def test_a_newer_schema_is_enough(database_url: str) -> None:
    """While a new version is rolled out, the processes of the old one may start again."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO schema_migrations VALUES ('9999')")
    await connection.close()
    await check_schema(database_url)


def test_every_migration_is_numbered_and_forward_only() -> None:
    files = sorted(MIGRATIONS.glob("*.sql"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        down = file.read_text().partition("-- migrate:down")[2]
        assert all(line.startswith("--") for line in down.splitlines() if line.strip()), file.name
