"""The picture card that messengers show with a shared link: 1200 × 630, PNG, drawn here.

In: what the card says. Out: the file. Must hold: whatever the title, nothing is drawn as an empty box; what
the font cannot write (emoji, Thai) is left out, and messengers have it in the page's own title.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from io import BytesIO
from unicodedata import normalize

from msgspec import Struct
from noto_cjk_sans_otc import FONT_PATH
from PIL import Image, ImageDraw, ImageFont

from app.lib.batching import Batcher

SIZE = (1200, 630)
MARGIN = 80
WIDTH = SIZE[0] - 2 * MARGIN
TITLE_LINES_MAX = 2
# More circles than that are told in words.
CIRCLES_MAX = 10
# Of the collection's fonts the one with the forms that readers of simplified Chinese know.
FONT_INDEX = 2
# No font has a glyph for it: it draws what the font draws for all that it lacks.
LACKING = "\U0010fffd"
PAPER, BACK, INK, SOFT, RED, PALE = "#ffffff", "#fbe3d8", "#241a17", "#7a6a64", "#c3301c", "#f3d3c6"
# A shared card is asked for by each messenger's servers within the same seconds; one is about 20 KB.
KEPT_MAX = 200
# One takes 80 ms of a core: so many wait 3 s, and crawlers come back.
BACKLOG_MAX = 32

# A wide character can end a line; others stay together as words.
WORDS = re.compile(r"\s+|[\u2e80-\ud7ff\uf900-\uffef]|[^\s\u2e80-\ud7ff\uf900-\uffef]+")


class Card(Struct, frozen=True):
    """What a card says; two that say the same are one picture."""

    shop_name: str
    title: str
    price: str
    single_price: str | None
    slots: int
    members: int
    word: str


Cards = Batcher[Card, bytes]


def open_cards() -> Cards:
    """Drawn one at a time, in a thread: the process answers meanwhile."""

    async def run(cards: list[Card]) -> Sequence[bytes]:
        return [await asyncio.to_thread(draw, card) for card in cards]

    return Batcher(run, name="cards", size_max=1, lanes_max=1, backlog_max=BACKLOG_MAX)


@lru_cache(KEPT_MAX)
def draw(card: Card) -> bytes:
    """A PNG."""
    image = _shapes(card.slots, card.members)
    pen = ImageDraw.Draw(image)
    _write(pen, 64, fitting(card.shop_name, 34, 1), 34, SOFT)
    _write(pen, 118, fitting(card.title, 62, TITLE_LINES_MAX), 62, INK, bold=1)
    _prices(pen, card)
    _write(pen, 516, fitting(card.word, 38, 1), 38, INK)
    file = BytesIO()
    image.quantize(64, Image.Quantize.FASTOCTREE).save(file, "PNG")
    return file.getvalue()


def _shapes(slots: int, members: int) -> Image.Image:
    """The paper, and a circle a place, filled where it is taken; drawn at twice the size for round edges."""
    image = Image.new("RGB", (2 * SIZE[0], 2 * SIZE[1]), BACK)
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((64, 64, 2 * SIZE[0] - 64, 2 * SIZE[1] - 64), 72, fill=PAPER)
    for number in range(min(slots, CIRCLES_MAX)):
        left, top, taken = 2 * MARGIN + number * 152, 876, number < members
        pen.ellipse((left, top, left + 120, top + 120), fill=RED if taken else PALE)
        if taken:
            tick = ((left + 34, top + 62), (left + 54, top + 82), (left + 88, top + 40))
            pen.line(tick, PAPER, 12, "curve")
    return image.reduce(2)


def _prices(pen: ImageDraw.ImageDraw, card: Card) -> None:
    _write(pen, 300, [card.price], 84, RED, bold=2)
    if card.single_price is None:
        return
    left, top = MARGIN + _font(84).getlength(card.price) + 32, 346
    pen.text((left, top), card.single_price, SOFT, _font(40))
    middle = top + 32
    pen.line((left, middle, left + _font(40).getlength(card.single_price), middle), SOFT, 3)


def _write(
    pen: ImageDraw.ImageDraw, top: int, text: Sequence[str], size: int, colour: str, *, bold: int = 0
) -> None:
    for number, line in enumerate(text):
        at = (MARGIN, top + number * size * 1.3)
        pen.text(at, line, colour, _font(size), stroke_width=bold, stroke_fill=colour)


def fitting(text: str, size: int, lines_max: int) -> list[str]:
    """The text's lines at this size; what is too long ends in an ellipsis."""
    font = _font(size)
    lines = [""]
    for word in WORDS.findall(drawable(text)):
        for part in [word] if font.getlength(word) <= WIDTH else word:
            if font.getlength((lines[-1] + part).rstrip()) <= WIDTH:
                lines[-1] += part
            else:
                lines.append(part.lstrip())
    kept = [line.rstrip() for line in lines[:lines_max]]
    if len(lines) > lines_max:
        while font.getlength(f"{kept[-1]}…") > WIDTH:
            kept[-1] = kept[-1][:-1]
        kept[-1] += "…"
    return kept


def drawable(text: str) -> str:
    """Without what the font has no glyph for."""
    composed = normalize("NFC", text)
    return " ".join("".join(each for each in composed if each.isspace() or _has(each)).split())


@lru_cache(4_096)
def _has(character: str) -> bool:
    return bytes(_font(20).getmask(character)) != _lacking()


@cache
def _lacking() -> bytes:
    return bytes(_font(20).getmask(LACKING))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Each character by itself: what only joins others would be drawn as a circle of dots without them.
    plain = ImageFont.Layout.BASIC
    return ImageFont.truetype(str(FONT_PATH), size, index=FONT_INDEX, layout_engine=plain)
