"""The command `rushcart`: one subcommand a verb.

In: options and the environment; `--data-dir` names the installation whose settings hold. Out: the verb's work
and its exit code. Must hold: nothing heavy is imported before the subcommand that needs it runs, so that
`rushcart token` answers at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.settings import Settings

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Rushcart: the checkout backend behind a shop's app.",
)

DataDir = Annotated[
    Path | None,
    typer.Option(envvar="RUSHCART_DATA_DIR", help="Folder of the installation [default: .data]"),
]


class Role(StrEnum):
    """The roles that a token can carry."""

    BUYER = "buyer"
    MERCHANT = "merchant"
    OP = "op"
    SERVICE = "service"


@contextmanager
def _needing(settings: "Settings", what: str) -> Iterator[None]:
    """Say in a line what the database lacks, instead of how the code came to notice.

    An empty database, or one of an older version, would be noticed late, and by a buyer.
    """
    import asyncio

    import asyncpg

    from app.lib.migrate import SchemaTooOldError, check_schema

    settings.check()
    try:
        asyncio.run(check_schema(settings.database_url))
        yield
    except SchemaTooOldError as error:
        raise SystemExit(f"{what}: {error}") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise SystemExit(f"{what}, the database does not answer: {error or type(error).__name__}") from None


@cli.command()
def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the API [default: 8000]", min=1, max=65535)
    ] = None,
    data_dir: DataDir = None,
    workers: Annotated[int, typer.Option(help="API processes", min=1, max=64)] = 1,
    seed: Annotated[bool, typer.Option("--seed/--no-seed", help="Load the demo shop")] = True,
) -> None:
    """Start everything on this machine: Postgres, Valkey, API, worker, sandbox provider."""
    from app.runtime.supervisor import run as supervise
    from app.settings import load_settings

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    raise typer.Exit(supervise(load_settings(data_dir, **given), workers=workers, seed=seed))


@cli.command()
def api(
    data_dir: DataDir = None,
    fd: Annotated[int | None, typer.Option(help="A listening socket that the parent hands over")] = None,
) -> None:
    """Start one API process."""
    from app.runtime.serve import serve
    from app.settings import load_settings

    settings = load_settings(data_dir)
    with _needing(settings, "The API did not start"):
        pass
    serve(settings, descriptor=fd)


@cli.command()
def worker(data_dir: DataDir = None) -> None:
    """Start one worker process: deadlines, jobs, events out."""
    import uvloop

    from app.settings import load_settings
    from app.worker import run as work

    settings = load_settings(data_dir)
    with _needing(settings, "The worker did not start"):
        pass
    uvloop.run(work(settings))


@cli.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="For other programs")] = False,
    data_dir: DataDir = None,
) -> None:
    """Check all that must always hold; the exit code is 1 when something does not."""
    import asyncio

    from app.audit.command import run_audit
    from app.settings import load_settings

    settings = load_settings(data_dir)
    with _needing(settings, "Nothing was checked"):
        code = asyncio.run(run_audit(settings, as_json=as_json))
    raise typer.Exit(code)


@cli.command()
def reconcile(data_dir: DataDir = None) -> None:
    """Show how gate and ledger differ, and make the gate equal to the ledger."""
    import asyncio

    from app.audit.command import run_reconcile
    from app.settings import load_settings

    settings = load_settings(data_dir)
    with _needing(settings, "Nothing was corrected"):
        code = asyncio.run(run_reconcile(settings))
    raise typer.Exit(code)


@cli.command()
def rehearse(
    promotion: Annotated[Path, typer.Argument(help="The promotion as JSON, as the admin call takes it")],
    days: Annotated[int, typer.Option(help="Orders of so many days", min=1, max=366)] = 7,
    orders_max: Annotated[
        int, typer.Option(help="At most so many orders, the newest", min=1, max=20_000)
    ] = 1_000,
    data_dir: DataDir = None,
) -> None:
    """Show what a draft promotion would have done to the latest orders; changes nothing."""
    import asyncio

    from app.promotions.command import run_rehearse
    from app.settings import load_settings

    settings = load_settings(data_dir)
    with _needing(settings, "Nothing was rehearsed"):
        code = asyncio.run(run_rehearse(settings, promotion, days=days, orders_max=orders_max))
    raise typer.Exit(code)


@cli.command(
    add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def sandbox(context: typer.Context) -> None:
    """Start the sandbox payment provider; it has options of its own."""
    from app.sandbox.command import sandbox as start

    provider = typer.Typer(add_completion=False)
    provider.command()(start)
    provider(args=context.args, prog_name="rushcart sandbox")


@cli.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version's schema."""
    import asyncio

    import asyncpg

    from app.lib.migrate import MigrationError
    from app.lib.migrate import migrate as apply
    from app.settings import load_settings

    settings = load_settings(data_dir)
    settings.check()
    try:
        asyncio.run(apply(settings.database_url))
    except (MigrationError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise SystemExit(f"The database was not migrated: {error}") from None


@cli.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Shopify's product CSV, or NDJSON")
    ],
    shop: Annotated[
        str, typer.Option(help="The shop of products that name none; a CSV's is made if it is new")
    ] = "imported",
    currency: Annotated[
        str | None, typer.Option(help="The CSV's currency; by default the shop's, of a new shop CNY")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Import all but the bad rows")] = False,
    data_dir: DataDir = None,
) -> None:
    """Load a catalog from a file: all of it, or nothing and every bad row named.

    New SKUs begin with the file's stock; the stock of known ones is left as it is.
    """
    from app.catalog.command import import_catalog
    from app.settings import load_settings

    settings = load_settings(data_dir)
    with _needing(settings, "Nothing was imported"):
        code = import_catalog(settings, file, shop_id=shop, currency=currency, skip_bad=skip_bad)
    raise typer.Exit(code)


@cli.command()
def seed(data_dir: DataDir = None) -> None:
    """Load the demo shop; what is there already is left alone."""
    import asyncio

    from app.seed import run_seed
    from app.settings import load_settings

    settings = load_settings(data_dir)
    with _needing(settings, "The demo shop was not loaded"):
        asyncio.run(run_seed(settings))


@cli.command()
def token(
    sub: Annotated[str, typer.Option(help="Whose: the buyer's id")],
    role: Annotated[Role, typer.Option(help="What it may do")] = Role.BUYER,
    shop_id: Annotated[str | None, typer.Option(help="A merchant's shop")] = None,
    ttl_s: Annotated[int, typer.Option(help="Seconds until it expires", min=1)] = 86_400,
    data_dir: DataDir = None,
) -> None:
    """Print a bearer token for the API."""
    from app.lib.auth import make_token
    from app.settings import load_settings

    if (role is Role.MERCHANT) != (shop_id is not None):
        raise typer.BadParameter("a merchant needs --shop-id, and nobody else has one")
    print(make_token(load_settings(data_dir), sub=sub, role=role, shop_id=shop_id, ttl_s=ttl_s))


def main() -> None:
    """The entry point of the console script."""
    cli(prog_name="rushcart")
