"""One installation of real processes for all the faults: each must leave it fit for the next."""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

import pytest

from tests.faults.rush import Sale
from tests.faults.stack import Stack, open_stack
from tests.rows import put_flash_sale, put_sku

PRICE_MINOR = 5_000
OpenSale = Callable[[int], Awaitable[Sale]]
_numbers = count(1)


@pytest.fixture(scope="package")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
async def stack(installation: Stack) -> AsyncIterator[Stack]:
    yield installation
    await installation.restore()


@pytest.fixture
def open_sale(stack: Stack) -> OpenSale:
    """A flash sale of a SKU of its own, one a buyer, that every API process knows of."""

    async def opener(stock: int) -> Sale:
        number = next(_numbers)
        sku_id, activity_id = f"sku-{number}", f"sale-{number}"
        pool = stack.services.pool
        await put_sku(pool, sku_id, shop_id=f"shop-{number}", on_hand=0)
        pool_id = await put_flash_sale(
            pool, activity_id, sku_id, price_minor=PRICE_MINOR, quantity=stock, per_buyer_max=1
        )
        sale = Sale(sku_id, activity_id, pool_id, PRICE_MINOR, stock)
        await stack.wait_on_sale(sale)
        return sale

    return opener
