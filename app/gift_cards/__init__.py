"""Gift cards (礼品卡): a balance behind a code, spent in parts, by whoever has the code."""
