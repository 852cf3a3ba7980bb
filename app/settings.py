"""Settings: from the environment, else from the installation in the data folder, else the demo's.

`RUSHCART_<FIELD>` sets a field; `DATABASE_URL` and `REDIS_URL` keep their usual names. `rushcart run` writes
the installation file, so that `rushcart token --data-dir DIR` speaks to what runs there. In production mode
(`RUSHCART_ENV=production`) the demo's secrets are refused.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from app.pricing.lanes import LANES, check_lanes

# Marked as such, and refused in production mode.
DEMO_JWT_SECRET = "demo-jwt-secret-not-for-production"  # noqa: S105 - the demo's, refused in production
DEMO_EVENT_SECRET = "demo-event-secret-not-for-production"  # noqa: S105 - the demo's
DEMO_PROVIDER_API_KEY = "demo-provider-key-not-for-production"
INSTALLATION_FILE = "installation.json"

Port = Annotated[int, Meta(ge=0, le=65_535)]
# Where none, or less than none, would stop the process or let nobody in.
AtLeastOne = Annotated[int, Meta(ge=1)]
# An empty one signs for everybody: `A,` in the environment is a slip, not a second secret.
Secret = Annotated[str, Meta(min_length=1)]
Algorithm = Literal["HS256", "EdDSA", "RS256", "ES256"]


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything that can be configured, with the reason of each default beside it."""

    env: str = "demo"  # demo | production
    host: str = "127.0.0.1"
    port: Port = 8000
    data_dir: str = ".data"
    database_url: str = ""
    redis_url: str = ""
    public_url: str = ""  # where clients and providers reach the API; default http://host:port
    # What opens the shop's app to join a group, with `?group_id=…&campaign_item_id=…` added. Better an https
    # link of the shop's own: it leads to the shop's site where the app is not installed.
    app_link: str = "rushcart://groupbuy/join"
    log_level: str = "info"

    # Who is it.
    jwt_secret: str = DEMO_JWT_SECRET
    jwt_algorithms: tuple[Algorithm, ...] = ("HS256",)
    jwt_jwks_url: str = ""
    event_secrets: tuple[Secret, ...] = (DEMO_EVENT_SECRET,)  # several while rotating

    # Providers.
    sandbox_url: str = "http://127.0.0.1:8001"
    sandbox_api_key: str = DEMO_PROVIDER_API_KEY
    sandbox_manual_capture: bool = False

    # Time.
    pay_timeout_s: AtLeastOne = 900  # 15 minutes, what malls give a buyer to pay
    pay_timeout_authorized_s: AtLeastOne = 86_400  # an authorization waits for its capture this long
    quote_ttl_s: AtLeastOne = 300
    clock_offset_s: float = 0.0  # tests move time with it

    # The order in which promotions, coupons and all else lower a price (app/pricing/lanes.py).
    lanes: tuple[str, ...] = LANES
    # No promotion brings a price below this part of it (basis points) unless overridden; 0: only costs count.
    price_floor_bp: int = 0

    # The worker shows its metrics there; 0: nowhere.
    worker_metrics_port: Port = 0

    # Connections. Two cores: more backends than this only queue in Postgres.
    postgres_pool_max: AtLeastOne = 12
    redis_pool_max: AtLeastOne = 64
    statement_timeout_ms: AtLeastOne = 5_000  # a statement of ours that takes longer is ill

    # The committer (app/checkout/commit.py; docs/performance.md). Small enough that the process prepares the
    # next orders while Postgres writes these; larger ones save little, since a batch's fixed cost is a
    # millisecond and an order's share of Postgres' time 0.1.
    batch_size_max: AtLeastOne = 64
    lanes_max: AtLeastOne = 2
    backlog_max: AtLeastOne = 4_096

    # Rate limit per buyer and process: a bucket of `burst` calls, refilled at `per_s`; a person taps
    # less than ten times a second, an app that retries in a loop is stopped.
    rate_limit_per_s: Annotated[float, Meta(gt=0)] = 100.0
    rate_limit_burst: AtLeastOne = 200

    def base_url(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    def check(self) -> None:
        """Refuse to start on what would be unsafe or cannot work. Raises SystemExit with what to do."""
        if not self.database_url or not self.redis_url:
            raise SystemExit(
                "No database: set DATABASE_URL and REDIS_URL, or start everything with `rushcart run` "
                f"and name its folder with --data-dir (looked into {self.data_dir})."
            )
        _check_address("DATABASE_URL", self.database_url, ("postgresql", "postgres"))
        _check_address("REDIS_URL", self.redis_url, ("redis", "rediss", "unix"))
        if self.env not in ("demo", "production"):
            raise SystemExit(f"RUSHCART_ENV is {self.env!r}; it can be demo or production.")
        if self.env == "production":
            self._check_production()
        try:
            check_lanes(self.lanes)
        except ValueError as error:
            raise SystemExit(f"RUSHCART_LANES: {error}.") from None

    def _check_production(self) -> None:
        demo = {
            "RUSHCART_JWT_SECRET": not self.jwt_jwks_url and self.jwt_secret == DEMO_JWT_SECRET,
            "RUSHCART_EVENT_SECRETS": DEMO_EVENT_SECRET in self.event_secrets,
            "RUSHCART_SANDBOX_API_KEY": self.sandbox_api_key == DEMO_PROVIDER_API_KEY,
        }
        if named := [name for name, is_demo in demo.items() if is_demo]:
            raise SystemExit(f"Production mode refuses the demo's secrets: set {', '.join(named)}.")
        if not self.jwt_jwks_url and len(self.jwt_secret) < 32:
            raise SystemExit("RUSHCART_JWT_SECRET is shorter than 32 characters: too short for HS256.")


def _check_address(variable: str, url: str, schemes: tuple[str, ...]) -> None:
    """Raises SystemExit; it does not repeat the address, which may hold a password."""
    try:
        found = urlsplit(url)
        if "," not in found.netloc:  # else several hosts of Postgres, each with its port
            _ = found.port
    except ValueError as error:
        raise SystemExit(f"{variable} is no address: {error}.") from None
    if found.scheme not in schemes:
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise SystemExit(f"{variable} is no address: one begins with {expected}.")


def _from_environment() -> dict[str, object]:
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        raw = os.environ.get(_variable(field.name))
        if raw:
            found[field.name] = (
                [part.strip() for part in raw.split(",")] if "tuple" in str(field.type) else raw
            )
    return found


def load_settings(data_dir: str | Path | None = None, **overrides: object) -> Settings:
    """The settings of the installation in `data_dir`, under the environment, under `overrides`.

    Raises SystemExit naming the setting that has a wrong type or is out of bounds.
    """
    from_environment = _from_environment()
    folder = Path(str(data_dir or from_environment.get("data_dir") or ".data"))
    stored: dict[str, object] = {}
    if (file := folder / INSTALLATION_FILE).exists():
        stored = msgspec.json.decode(file.read_bytes(), type=dict[str, object])
    merged = {**stored, **from_environment, "data_dir": str(folder), **overrides}
    try:
        return msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SystemExit(f"A setting is wrong: {_named(str(error))}.") from None


def _named(error: str) -> str:
    """msgspec's words, with the variable instead of the field's path: `$.port` is RUSHCART_PORT."""
    return re.sub(r"`\$\.(\w+)(\[\d+\])?`", lambda found: _variable(found[1]), error)


def _variable(field: str) -> str:
    name = field.upper()
    return name if name in ("DATABASE_URL", "REDIS_URL") else f"RUSHCART_{name}"
