"""One Idempotency-Key, one effect.

A key's scope is the call and the caller. What a call did is remembered in the same transaction as its effect,
with the answer, so that a repeat gets the same status and body; a refusal rolls back and is judged anew.
Two calls with one key at the same moment: the unique index makes the second wait for the first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b

import asyncpg
import msgspec

from app.lib.errors import IdempotencyKeyReused, InvalidRequest
from app.lib.postgres import Connection, Pool, transaction
from app.lib.sql import load

sql = load("idempotency")

KEY_LENGTH_MAX = 255
# What ends a statement that hopes for the usual case: its key is there already, or `must_fit` (of
# sql/migrations) said no. Nothing was changed, and the long way finds out what to answer.
DOES_NOT_FIT = frozenset({"idempotency_pkey", "batch_fits"})
_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a call answers: `body` is JSON."""

    status: int
    body: bytes
    replayed: bool = False


class Once(msgspec.Struct, frozen=True, gc=False):
    """One call that must count once: its identity and its content."""

    call: str
    caller_id: str
    digest: bytes
    request_hash: bytes


def identify(call: str, caller_id: str, key: str | None, content: object) -> Once:
    """The identity of a call; `content` is the decoded request. Raises InvalidRequest without a key."""
    if key is None:
        raise InvalidRequest("the header Idempotency-Key is required", code="idempotency_key_missing")
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        raise InvalidRequest(
            "the Idempotency-Key must be 1 to 255 printable characters", code="idempotency_key_invalid"
        )
    return Once(call, caller_id, key_digest(call, caller_id, key), content_hash(content))


def key_digest(call: str, caller_id: str, key: str) -> bytes:
    """16 bytes that stand for (call, caller, key); the parts cannot run into each other."""
    return blake2b(f"{call}\0{caller_id}\0{key}".encode(), digest_size=16).digest()


def content_hash(content: object) -> bytes:
    """16 bytes of the content as decoded: spacing and the order of keys do not matter.

    Nor does a field that has its default: those Structs leave it out, so that a retry still is the same
    request after a deployment that gave it another field.
    """
    return blake2b(_encode(content), digest_size=16).digest()


async def run_once(pool: Pool, once: Once, effect: Callable[[Connection], Awaitable[Answer]]) -> Answer:
    """Run `effect` in a transaction, or give the answer that the same call got before.

    Raises IdempotencyKeyReused when the key came with other content, and whatever `effect` raises (then
    nothing is remembered).
    """
    async with transaction(pool) as connection:
        taken = await connection.fetchval(
            sql.take_key, once.digest, once.call, once.caller_id, once.request_hash
        )
        if taken is None:
            row = await connection.fetchrow(sql.read_key, once.digest)
            assert row is not None, "a key that could not be taken must be there to read"
            return earlier_answer(row, once)
        answer = await effect(connection)
        await connection.execute(sql.keep_answer, once.digest, answer.status, answer.body)
        return answer


async def take_keys(
    connection: Connection, calls: Sequence[Once]
) -> dict[bytes, Answer | IdempotencyKeyReused]:
    """Take the keys of a batch, inside the caller's transaction; those that it takes it keeps or releases.

    Leaves, by digest, what the others have answered before: those cannot be taken.
    """
    taken = await connection.fetch(
        sql.take_keys,
        [each.digest for each in calls],
        [each.call for each in calls],
        [each.caller_id for each in calls],
        [each.request_hash for each in calls],
    )
    ours = {row["digest"] for row in taken}
    losers = {each.digest: each for each in calls if each.digest not in ours}
    if not losers:
        return {}
    return await earlier_answers(connection, list(losers.values()))


async def earlier_answers(
    connection: Connection, calls: Sequence[Once]
) -> dict[bytes, Answer | IdempotencyKeyReused]:
    """By digest, what those of these calls have answered before whose keys are kept."""
    known = {each.digest: each for each in calls}
    rows = await connection.fetch(sql.read_keys, list(known))
    return {row["digest"]: _answer_or_reused(row, known[row["digest"]]) for row in rows}


def _answer_or_reused(row: asyncpg.Record, once: Once) -> Answer | IdempotencyKeyReused:
    try:
        return earlier_answer(row, once)
    except IdempotencyKeyReused as reused:
        return reused


async def keep_answers(connection: Connection, answers: Mapping[bytes, Answer]) -> None:
    """Keep what these keys' calls have answered, beside their effects."""
    if answers:
        kept = list(answers.values())
        await connection.execute(
            sql.keep_answers, list(answers), [each.status for each in kept], [each.body for each in kept]
        )


async def release_keys(connection: Connection, digests: Sequence[bytes]) -> None:
    """A refused call leaves no key behind."""
    if digests:
        await connection.execute(sql.release_keys, digests)


def earlier_answer(row: asyncpg.Record, once: Once) -> Answer:
    """What a kept key answers now. Raises IdempotencyKeyReused when it came with other content."""
    if row["request_hash"] != once.request_hash:
        raise IdempotencyKeyReused("use a new key for a new request")
    return Answer(row["status"], row["response"], replayed=True)
