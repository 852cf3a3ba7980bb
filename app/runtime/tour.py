"""The tour that `rushcart run` prints: lines to paste into another terminal, in the order of a purchase.

In: where the installation listens. Out: text. Must hold: every line works as it stands.
"""

from app.settings import Settings


def tour(settings: Settings, address: str) -> str:
    """The tour's lines for this installation."""
    return f"""
  API documentation   {address}/docs
  Data folder         {settings.data_dir}
"""
