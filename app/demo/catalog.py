"""The demo's shops and some hundreds of SKUs, multiplied out of short tables.

Leaves the same records as an import's file, so that loading the demo is an import. Every SKU has a price in
both currencies; SKU ids count up from the shop's first (1001 is the tea of the contract's examples).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, product
from typing import NamedTuple

from app.catalog.documents import ItemType, PriceDocument, ShopDocument, SkuDocument
from app.catalog.records import ImportedItem, ImportedShop, ImportedSku, Record


class Option(NamedTuple):
    """A value of an attribute; the price is multiplied by `percent`."""

    value: str
    percent: int = 100
    grams: int = 0


class Range(NamedTuple):
    """Goods of one kind that come in the same options."""

    shop_id: str
    item_type: ItemType
    category_id: str
    options: dict[str, tuple[Option, ...]]
    # (item id, title, category within the kind, price in minor units of the shop's currency, list price in %)
    goods: tuple[tuple[str, str, str, int, int], ...]


class Shop(NamedTuple):
    shop_id: str
    name: str
    currency: str
    first_sku: int


SHOPS = (
    Shop("7", "Lan's Tea · 兰茶", "CNY", 1001),
    Shop("8", "Kiln No. 9 · 九号窑", "CNY", 2001),
    Shop("9", "North Loop Coffee", "USD", 3001),
    Shop("10", "Harbor & Pine", "USD", 4001),
    Shop("11", "Paper Lantern Books · 纸灯书店", "CNY", 5001),
)

# How many fen a cent is in the demo: a round rate, so that prices in both currencies look like prices.
CNY_PER_USD = 7

TINS = (Option("50 g tin", 100, 90), Option("100 g tin", 190, 150), Option("250 g bag", 430, 270))
GLAZES = (
    Option("celadon"),
    Option("moon white"),
    Option("tenmoku", 115),
    Option("cobalt", 120),
    Option("ash"),
)
BAGS = (Option("250 g", 100, 260), Option("1 kg", 360, 1020))
GRINDS = (Option("whole bean"), Option("filter"), Option("espresso"))
COLOURS = (Option("pine"), Option("fog"), Option("rust"))
SIZES = (Option("XS"), Option("S"), Option("M"), Option("L"), Option("XL"))

RANGES = (
    Range("7", "physical", "tea", {"size": TINS}, (
        ("longjing", "West Lake Longjing · 西湖龙井", "green-tea", 10000, 120),
        ("biluochun", "Dongting Biluochun · 洞庭碧螺春", "green-tea", 11800, 115),
        ("maofeng", "Huangshan Maofeng · 黄山毛峰", "green-tea", 8800, 100),
        ("guapian", "Lu'an Guapian · 六安瓜片", "green-tea", 9200, 100),
        ("tieguanyin", "Anxi Tieguanyin · 安溪铁观音", "oolong", 9600, 125),
        ("dahongpao", "Wuyi Da Hong Pao · 武夷大红袍", "oolong", 16800, 110),
        ("dancong", "Phoenix Dancong · 凤凰单丛", "oolong", 13800, 100),
        ("dongding", "Dong Ding Oolong · 冻顶乌龙", "oolong", 12600, 100),
        ("qimen", "Keemun · 祁门红茶", "black-tea", 7800, 100),
        ("dianhong", "Yunnan Dianhong · 滇红", "black-tea", 6800, 118),
        ("lapsang", "Lapsang Souchong · 正山小种", "black-tea", 8600, 100),
        ("yinzhen", "Silver Needle · 白毫银针", "white-tea", 19800, 110),
        ("baimudan", "White Peony · 白牡丹", "white-tea", 9800, 100),
        ("shupu", "Ripe Pu'er · 熟普洱", "dark-tea", 7200, 100),
        ("shengpu", "Raw Pu'er · 生普洱", "dark-tea", 11200, 130),
        ("molihua", "Jasmine Pearls · 茉莉龙珠", "scented-tea", 8200, 100),
        ("juhua", "Chrysanthemum · 胎菊", "scented-tea", 4600, 100),
    )),
    Range("8", "physical", "ceramics", {"glaze": GLAZES}, (
        ("gaiwan", "Gaiwan · 盖碗", "teaware", 12800, 120),
        ("teapot", "Side-handle pot · 侧把壶", "teaware", 26800, 115),
        ("fairness-cup", "Fairness cup · 公道杯", "teaware", 8800, 100),
        ("tasting-cup", "Tasting cup · 品茗杯", "teaware", 3600, 100),
        ("tea-caddy", "Tea caddy · 茶叶罐", "teaware", 15800, 100),
        ("rice-bowl", "Rice bowl · 饭碗", "tableware", 4200, 100),
        ("noodle-bowl", "Noodle bowl · 面碗", "tableware", 6800, 125),
        ("dinner-plate", "Dinner plate · 餐盘", "tableware", 7600, 100),
        ("sauce-dish", "Sauce dish · 味碟", "tableware", 1900, 100),
        ("bud-vase", "Bud vase · 花插", "home", 9800, 100),
        ("incense-holder", "Incense holder · 香插", "home", 5600, 110),
        ("brush-pot", "Brush pot · 笔筒", "home", 11800, 100),
    )),
    Range("9", "physical", "coffee", {"bag": BAGS, "grind": GRINDS}, (
        ("loop-house", "Loop House Blend", "blend", 1450, 100),
        ("night-train", "Night Train Dark Roast", "blend", 1400, 115),
        ("decaf-lullaby", "Lullaby Decaf", "blend", 1550, 100),
        ("yirgacheffe", "Ethiopia Yirgacheffe", "single-origin", 1850, 110),
        ("kenya-nyeri", "Kenya Nyeri AA", "single-origin", 1990, 100),
        ("huila", "Colombia Huila", "single-origin", 1690, 100),
        ("antigua", "Guatemala Antigua", "single-origin", 1650, 100),
        ("sumatra", "Sumatra Mandheling", "single-origin", 1750, 100),
        ("yunnan", "Yunnan Honey Process", "single-origin", 1590, 120),
        ("geisha", "Panama Geisha, Lot 12", "single-origin", 4800, 100),
        ("cold-brew", "Cold Brew Coarse Blend", "blend", 1500, 100),
        ("espresso-nine", "Espresso No. 9", "blend", 1600, 100),
    )),
    Range("10", "physical", "clothing", {"colour": COLOURS, "size": SIZES}, (
        ("rain-shell", "Tidewater Rain Shell", "jackets", 14800, 120),
        ("fleece", "Cabin Fleece", "jackets", 8900, 100),
        ("flannel", "Lumberyard Flannel", "shirts", 6400, 115),
        ("tee", "Everyday Tee", "shirts", 2800, 100),
        ("henley", "Dockside Henley", "shirts", 4200, 100),
        ("trail-pants", "Switchback Trail Pants", "trousers", 7900, 125),
        ("wool-sweater", "Lighthouse Wool Sweater", "knitwear", 11800, 100),
        ("beanie", "Watch Cap", "knitwear", 2400, 100),
    )),
    Range("11", "virtual", "books", {"format": (Option("EPUB"), Option("EPUB + audio", 160))}, (
        ("classic-of-tea", "The Classic of Tea · 茶经", "ebooks", 2900, 100),
        ("dream", "Dream of the Red Chamber · 红楼梦", "ebooks", 3900, 130),
        ("journey", "Journey to the West · 西游记", "ebooks", 3900, 100),
        ("strange-tales", "Strange Tales · 聊斋志异", "ebooks", 3200, 100),
        ("tang-poems", "Three Hundred Tang Poems · 唐诗三百首", "ebooks", 1900, 100),
        ("walden", "Walden", "ebooks", 2200, 100),
        ("moby-dick", "Moby-Dick", "ebooks", 2600, 100),
    )),
)  # fmt: skip


def demo_records() -> Iterator[Record]:
    """All shops, then all items with their SKUs and first stock; each on a line of its own."""
    lines = count(1)
    for shop in SHOPS:
        yield ImportedShop(next(lines), shop.shop_id, ShopDocument(shop.name, shop.currency))
    for shop in SHOPS:
        numbers = count(shop.first_sku)
        for each in RANGES:
            if each.shop_id == shop.shop_id:
                yield from _items(each, shop.currency, lines, numbers)


def _items(
    goods: Range, currency: str, lines: Iterator[int], numbers: Iterator[int]
) -> Iterator[ImportedItem]:
    for item_id, title, category_id, price_minor, list_percent in goods.goods:
        line = next(lines)
        skus = []
        for options in product(*goods.options.values()):
            number = next(numbers)
            price = price_minor
            for option in options:
                price = price * option.percent // 100
            document = SkuDocument(
                sku_id=str(number),
                prices=_prices(currency, price, price * list_percent // 100),
                attributes=dict(zip(goods.options, (option.value for option in options), strict=True)),
                weight_grams=sum(option.grams for option in options),
            )
            skus.append(ImportedSku(line, document, _first_stock(number)))
        yield ImportedItem(
            line=line,
            item_id=item_id,
            shop_id=goods.shop_id,
            title=title,
            item_type=goods.item_type,
            category_ids=[goods.category_id, category_id],
            on_sale=True,
            skus=skus,
        )


def _prices(currency: str, price_minor: int, list_price_minor: int) -> dict[str, PriceDocument]:
    """In both currencies: yuan as they are, dollars ending in 9 cents where they were converted."""
    if currency == "USD":
        yuan = PriceDocument(price_minor * CNY_PER_USD, list_price_minor * CNY_PER_USD)
        return {"USD": PriceDocument(price_minor, list_price_minor), "CNY": yuan}
    dollars = PriceDocument(_dollars(price_minor), _dollars(list_price_minor))
    return {"CNY": PriceDocument(price_minor, list_price_minor), "USD": dollars}


def _dollars(fen: int) -> int:
    return fen // CNY_PER_USD // 10 * 10 + 9


def _first_stock(number: int) -> int:
    """Plenty of the first of each shop, which the tour buys; of the others what a shop has on its shelf."""
    return 2_000 if number % 1000 == 1 else 40 + number * 37 % 160
