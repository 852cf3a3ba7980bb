"""Administration of freight and tax (`op`, or `merchant` for its own shop) and of exchange rates (`op`).

A PUT may be repeated.
"""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from app.charges.documents import FreightTemplateDocument, FxRatesDocument, TaxRuleDocument
from app.charges.freight_templates import (
    FreightTemplate,
    list_freight_templates,
    put_freight_template,
    read_freight_template,
)
from app.charges.fx_rates import list_fx_rates, put_fx_rates
from app.charges.tax_rules import TaxRule, list_tax_rules, put_tax_rule, read_tax_rule
from app.dependencies import Operator, ServicesDependency, Staff
from app.lib.errors import Conflict, NotFound
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import CurrencyCursor, Cursor, Limit, PathId, QueryId

# 100 rules with 300 regions each are 300 KB, 3,700 rates as well.
DOCUMENT_BYTES_MAX = 512 << 10


@put(
    "/admin/freight_templates/{template_id:str}",
    request_max_body_size=DOCUMENT_BYTES_MAX,
    problems=((NotFound, "shop_not_found"), (Conflict, "freight_template_of_other_shop")),
)
async def replace_freight_template(
    template_id: PathId, data: JSONBody[FreightTemplateDocument], services: ServicesDependency, staff: Staff
) -> FreightTemplate:
    """How a shop's goods are sent, by region: an item or the shop refers to it by its id."""
    return await put_freight_template(services.pool, services.prices, staff, template_id, data)


@get(
    "/admin/freight_templates/{template_id:str}",
    problems=((NotFound, "freight_template_not_found"),),
)
async def show_freight_template(
    template_id: PathId, services: ServicesDependency, staff: Staff
) -> FreightTemplate:
    return await read_freight_template(services.pool, staff, template_id)


@get("/admin/freight_templates")
async def show_freight_templates(
    services: ServicesDependency,
    staff: Staff,
    shop_id: QueryId = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[FreightTemplate]:
    """A merchant sees its own shop's templates, whatever it asks for."""
    return await list_freight_templates(services.pool, staff.shop_id or shop_id, cursor, limit)


@put(
    "/admin/tax_rules/{tax_rule_id:str}",
    request_max_body_size=DOCUMENT_BYTES_MAX,
    problems=((NotFound, "shop_not_found"),),
)
async def replace_tax_rule(
    tax_rule_id: PathId, data: JSONBody[TaxRuleDocument], services: ServicesDependency, staff: Staff
) -> TaxRule:
    """Without `shop_id` it holds for every shop, and only an operator may put it."""
    return await put_tax_rule(services.pool, services.prices, staff, tax_rule_id, data)


@get("/admin/tax_rules/{tax_rule_id:str}", problems=((NotFound, "tax_rule_not_found"),))
async def show_tax_rule(tax_rule_id: PathId, services: ServicesDependency, staff: Staff) -> TaxRule:
    return await read_tax_rule(services.pool, staff, tax_rule_id)


@get("/admin/tax_rules")
async def show_tax_rules(
    services: ServicesDependency,
    staff: Staff,
    shop_id: QueryId = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[TaxRule]:
    """A merchant sees its own shop's rules, whatever it asks for."""
    return await list_tax_rules(services.pool, staff.shop_id or shop_id, cursor, limit)


@put("/admin/fx_rates", request_max_body_size=DOCUMENT_BYTES_MAX)
async def replace_fx_rates(
    data: JSONBody[FxRatesDocument],
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - asking for it refuses everybody else
) -> FxRatesDocument:
    """All rates of a base; without them a cart in a currency that a SKU has no price in is refused."""
    return await put_fx_rates(services.pool, services.prices, data)


@get("/admin/fx_rates")
async def show_fx_rates(
    services: ServicesDependency,
    staff: Staff,  # noqa: ARG001 - as above
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: CurrencyCursor = "",
) -> Page[FxRatesDocument]:
    return await list_fx_rates(services.pool, cursor, limit)


ROUTES = [
    replace_freight_template,
    show_freight_template,
    show_freight_templates,
    replace_tax_rule,
    show_tax_rule,
    show_tax_rules,
    replace_fx_rates,
    show_fx_rates,
]
