"""The same as `rushcart sandbox`, without loading the rest of the program."""

import typer

from app.sandbox.command import sandbox

typer.run(sandbox)
