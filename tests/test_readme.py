"""The README keeps its word: its tour works line by line, and what it names exists."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.runtime.tour import ADDRESS_LINE, FOLDER_LINE, README, ROOT
from app.settings import Settings
from tests.sandbox.process import free_port

START_LIMIT_S = 60.0
REPORTS = ROOT / "loadtest" / "reports"  # made by a measurement
CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="the tour is made of curl lines")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What a `rushcart run` with the demo shop has printed; it runs until the last test has ended."""
    folder = tmp_path_factory.mktemp("readme")
    output = folder / "output"
    command = [sys.executable, "-m", "app", "run", "--data-dir", str(folder / "shop")]
    with output.open("wb") as file:
        run = subprocess.Popen([*command, "--port", str(free_port())], cwd=ROOT, stdout=file, stderr=file)
    deadline = time.monotonic() + START_LIMIT_S
    while "\nready " not in output.read_text():
        assert run.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.05)
    yield output.read_text()
    run.send_signal(signal.SIGTERM)
    assert run.wait(START_LIMIT_S) == 0


@CURL
def test_the_tour_works_as_it_is_printed(printed: str, tmp_path: Path) -> None:
    lines = printed[printed.index("export RUSHCART_DATA_DIR") : printed.index("\nready ")]
    told = paste(lines, tmp_path)
    saw(
        told,
        '"payable_minor": 17000',  # two tins less the promotion
        '"saves_minor": 1500',
        "HTTP/1.1 201 Created",
        "idempotent-replayed: true",
        "Paid. Thank you.",
        "PENDING_SHIPMENT",
        '"amount_minor": 5000',
        "SUCCEEDED",
        '"payable_minor": 5000',
        '"code": "purchase_limit_exceeded"',
        "gate_is_ledger",
    )
    assert told.count("HTTP/1.1 201 Created") == 2
    assert told.count("idempotent-replayed: true") == 1
    order_ids = re.findall(r'^\{"order_id":"(\d+)"', told, flags=re.MULTILINE)
    assert len(order_ids) == 2
    assert len(set(order_ids)) == 1


@CURL
def test_the_story_of_a_group_works_after_the_first_lines_of_the_tour(printed: str, tmp_path: Path) -> None:
    first = printed[printed.index("export RUSHCART_DATA_DIR") : printed.index("\n# What does a cart cost")]
    story = README.read_text().split("<!-- story -->")[1].split("<!-- /story -->")[0]
    told = paste("\n".join([first, *re.findall(r"```sh\n(.*?)```", story, flags=re.DOTALL)]), tmp_path)
    saw(
        told,
        "SUBMITTED",
        "PASSED",
        "/g/",
        "SUCCEEDED",
        '"trade_order_id": "',
        "PENDING_SHIPMENT",
        "ENDED",
        "campaign_withdrawn",
        "REFUNDED",
    )
    assert told.count("Paid. Thank you.") == 5


def paste(lines: str, folder: Path) -> str:
    """What a shell says to these lines; each must succeed."""
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert told.returncode == 0, f"{told.stdout[-3000:]}\n{told.stderr[-3000:]}"
    return told.stdout


def saw(told: str, *words: str) -> None:
    """All of these words."""
    assert [word for word in words if word not in told] == [], told


def test_the_lines_that_an_installation_replaces_are_in_the_readme() -> None:
    text = README.read_text()
    assert text.count(f"\n{FOLDER_LINE}\n") == 1
    assert text.count(f"\n{ADDRESS_LINE}\n") == 1


def test_every_file_and_folder_that_the_documents_name_exists() -> None:
    missing = []
    for document in [README, *(ROOT / "docs").rglob("*.md")]:
        text = document.read_text()
        linked = [document.parent / path for path in re.findall(r"\]\((?!http|#)([^)#]+)", text)]
        named = [ROOT / path for path in re.findall(r"`((?:app|lua|sql|docs|tests|loadtest)/[\w/.]*)`", text)]
        missing += [
            f"{document.name}: {path}" for path in [*linked, *named] if not path.exists() and path != REPORTS
        ]
    assert missing == []


def test_every_setting_that_the_readme_names_exists_with_its_default() -> None:
    defaults = {
        f"RUSHCART_{name.upper()}": value
        for name, value in msgspec.structs.asdict(Settings()).items()
        if name not in ("database_url", "redis_url")
    }
    table = re.findall(r"^\| (`RUSHCART_.*?) \| (.*?) \|", README.read_text(), flags=re.MULTILINE)
    assert len(table) > 10
    for names, values in table:
        named = re.findall(r"`(\w+)`", names)
        assert [name for name in named if name not in defaults] == []
        for name, value in zip(named, values.split(","), strict=False):
            if told := re.fullmatch(r"\s*`(.*)`\s*", value):
                default = defaults[name]
                shown = (
                    ",".join(default)
                    if isinstance(default, tuple)
                    else f"{default:g}"
                    if isinstance(default, float)
                    else str(default)
                )
                assert (name, told[1]) == (name, shown)
