"""A real browser for the tests: the Chromium or Chrome that the machine has, or Debian's, installed here.

`python -m tests.browser` (part of `make test`) sees to it that there is one, or says what to do. Without one
the tests that need it are skipped, which pytest shows; with RUSHCART_BROWSER=required (CI) they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from noto_cjk_sans_otc import FONT_PATH
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# As root Chromium has no sandbox; it opens pages of this machine alone, and asks nobody else for anything.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEBIAN = (
    ["apt-get", "update", "-qq"],
    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
)
# A phone has Chinese fonts, a test machine may not: the pages are shown in the one of their card.
FONTS = f"""<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>{Path(str(FONT_PATH)).parent}</dir>
</fontconfig>
"""
WHAT_TO_DO = """
  No browser on this machine: the tests of the share page in a browser will be SKIPPED, all others run.
  To run them, too, install Chromium or Chrome (on Debian: sudo apt-get install -y chromium).
"""


def find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    """The machine's own, without a window, with an empty profile. Skips the test where there is none."""
    (folder / "fonts.conf").write_text(FONTS)
    environment = {**os.environ, "FONTCONFIG_FILE": str(folder / "fonts.conf")}
    path = find()
    if path is None:
        if os.environ.get("RUSHCART_BROWSER") == "required":
            pytest.fail("no browser: python -m tests.browser")
        pytest.skip("no browser on this machine: see python -m tests.browser")
    async with async_playwright() as playwright:
        launching = playwright.chromium.launch(executable_path=path, args=FLAGS, env=environment)
        async with await launching as opened:
            yield opened


def provide() -> None:
    """Install Debian's where that can be done without asking; else say what to do."""
    if find() is None and os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium (Debian's package) for the tests of the share page …", flush=True)
        for command in DEBIAN:
            subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False)
    if find() is None:
        print(WHAT_TO_DO, file=sys.stderr)


if __name__ == "__main__":
    provide()
