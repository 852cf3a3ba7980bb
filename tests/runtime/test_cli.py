"""The command `rushcart`, as a person meets it."""

import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from app.lib.migrate import MIGRATIONS
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


@pytest.mark.parametrize("command", ["audit", "reconcile", "seed", "api", "worker"])
@pytest.mark.parametrize("address", ["postgres://nobody@127.0.0.1:1/none", "no-address"])
def test_a_command_says_in_a_line_that_the_database_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, address: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    done = rushcart(command, data_dir=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the database does not answer: " in done.stderr
    assert "Traceback" not in done.stderr


def test_every_migration_is_numbered_and_forward_only() -> None:
    files = sorted(MIGRATIONS.glob("*.sql"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        down = file.read_text().partition("-- migrate:down")[2]
        assert all(line.startswith("--") for line in down.splitlines() if line.strip()), file.name
