"""`rushcart sandbox`: starts the sandbox payment provider.

The secret is the first of the shop's event secrets, so that one variable is enough for both sides.
"""

from pathlib import Path
from typing import Annotated

import typer

from app.sandbox.server import Config, serve


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="RUSHCART_SANDBOX_PORT", help="Port to listen on.")] = 8001,
    data_dir: Annotated[Path, typer.Option(envvar="RUSHCART_DATA_DIR", help="Its books go here.")] = Path(
        ".data"
    ),
    callback: Annotated[
        str, typer.Option(envvar="RUSHCART_SANDBOX_CALLBACK", help="The shop's address, for webhooks.")
    ] = "http://127.0.0.1:8000",
    public_url: Annotated[
        str | None,
        typer.Option(envvar="RUSHCART_SANDBOX_PUBLIC_URL", help="Its address for buyers, if another one."),
    ] = None,
    api_key: Annotated[
        str, typer.Option(envvar="RUSHCART_SANDBOX_API_KEY", help="What callers must present.")
    ] = "demo-provider-key-not-for-production",
    event_secrets: Annotated[
        str, typer.Option(envvar="RUSHCART_EVENT_SECRETS", help="Comma-separated; the first one signs.")
    ] = "demo-event-secret-not-for-production",
) -> None:
    """Start the sandbox payment provider."""
    config = Config(
        host=host,
        port=port,
        data_dir=data_dir,
        api_key=api_key,
        webhook_secret=event_secrets.split(",")[0],
        callback=callback,
        public_url=(public_url or f"http://{host}:{port}").rstrip("/"),
    )
    serve(config)
