"""Which regions there are (ISO 3166-2), for the countries that are checked by name.

Of other countries the form is checked: the country's code, a dash, one to three letters or digits; or no
region at all, since small countries have none.
"""

from __future__ import annotations

import re

_CODES = {
    # ISO 3166-2:CN: provinces, regions, municipalities, Hong Kong, Macao, Taiwan
    "CN": """AH BJ CQ FJ GD GS GX GZ HA HB HE HI HK HL HN JL JS JX LN MO NM NX QH SC SD SH SN SX TJ TW XJ XZ
             YN ZJ""",
    # ISO 3166-2:US: states, the district, outlying areas
    "US": """AK AL AR AS AZ CA CO CT DC DE FL GA GU HI IA ID IL IN KS KY LA MA MD ME MI MN MO MP MS MT NC ND
             NE NH NJ NM NV NY OH OK OR PA PR RI SC SD TN TX UM UT VA VI VT WA WI WV WY""",
}
REGIONS = {
    country: frozenset(f"{country}-{code}" for code in codes.split()) for country, codes in _CODES.items()
}

POSTCODES = {"CN": re.compile(r"[0-9]{6}"), "US": re.compile(r"[0-9]{5}(-[0-9]{4})?")}


def region_exists(country: str, region: str) -> bool:
    if country in REGIONS:
        return region in REGIONS[country]
    return region == "" or re.fullmatch(rf"{country}-[A-Z0-9]{{1,3}}", region) is not None


def postcode_fits(country: str, postcode: str) -> bool:
    """An address may be without one; where there is one it must have the country's form."""
    form = POSTCODES.get(country)
    return postcode == "" or form is None or form.fullmatch(postcode) is not None
