"""A setting that cannot work, or that would let somebody in, stops the start with its own name."""

from pathlib import Path

import pytest

from app.settings import load_settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RUSHCART_PORT", "web"),
        ("RUSHCART_PORT", "65536"),
        # one empty secret, and anybody signs events
        ("RUSHCART_EVENT_SECRETS", "a-secret,"),
        ("RUSHCART_EVENT_SECRETS", ","),
        ("RUSHCART_JWT_ALGORITHMS", "none"),
        ("RUSHCART_LANES_MAX", "0"),
        ("RUSHCART_BATCH_SIZE_MAX", "-1"),
        ("RUSHCART_BACKLOG_MAX", "0"),
        ("RUSHCART_PAY_TIMEOUT_S", "-5"),
        ("RUSHCART_POSTGRES_POOL_MAX", "0"),
        ("RUSHCART_RATE_LIMIT_PER_S", "0"),
        ("RUSHCART_RATE_LIMIT_PER_S", "nan"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=f"A setting is wrong: .*{variable}"):
        load_settings(tmp_path)


def test_several_secrets_may_be_written_with_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHCART_EVENT_SECRETS", "the-new, the-old")
    assert load_settings(tmp_path).event_secrets == ("the-new", "the-old")
