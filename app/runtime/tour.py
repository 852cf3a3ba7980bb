"""The tour that `rushcart run` prints: lines to paste into another terminal, in the order of a purchase.

In: where the installation listens. Out: text; what is not a command is a comment, so all of it can be pasted
at once. Must hold: the lines are the README's, with this installation's folder and address in them.
"""

import re
import sys
from pathlib import Path

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
# The README's own, where the lines below stand.
FOLDER_LINE = 'export RUSHCART_DATA_DIR=.data PATH="$PWD/.venv/bin:$PATH"'
ADDRESS_LINE = "api=http://127.0.0.1:8000"


def tour(settings: Settings, address: str, *, seeded: bool) -> str:
    """The tour's lines for this installation; without the demo shop, where to look."""
    where = f"""
  API documentation   {address}/docs
  Data folder         {settings.data_dir}
"""
    if not seeded or not README.exists():  # an image holds no README
        return where
    return f"{where}\n  The tour: paste it into another terminal.\n\n{lines(settings.data_dir, address)}\n"


def lines(data_dir: str, address: str) -> str:
    """The README's commands, its sentences as comments."""
    text = README.read_text(encoding="utf-8").split("<!-- tour -->")[1].split("<!-- /tour -->")[0]
    told = []
    for part in re.split(r"(```sh\n.*?```)", text.strip(), flags=re.DOTALL):
        if part.startswith("```sh"):
            told.append(part.removeprefix("```sh\n").removesuffix("```").strip())
        elif sentence := " ".join(part.split()):
            told.append(f"\n# {sentence}")
    commands = Path(sys.executable).parent
    here = f'export RUSHCART_DATA_DIR="{data_dir}" PATH="{commands}:$PATH"'
    return "\n".join(told).replace(FOLDER_LINE, here).replace(ADDRESS_LINE, f"api={address}")
