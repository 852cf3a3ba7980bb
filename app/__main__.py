"""`python -m app` is the command `rushcart`."""

from app.cli import main

main()
