"""Jobs through Redis: done once, not lost to its restart, never a pickle."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from arq.constants import job_key_prefix

from app.bootstrap import Services, open_services
from app.jobs import JobRunner
from app.lib import metrics
from app.runtime.embedded import EmbeddedServers
from app.settings import Settings
from tests.waiting import wait_until

done: list[str] = []


async def note(_services: Services, word: str) -> None:
    done.append(word)


async def fail(_services: Services) -> None:
    done.append("failing")
    raise RuntimeError("the job's own error")


class Slow:
    """A job that ends when the test says so."""

    __name__ = "slow"

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def __call__(self, _services: Services) -> None:
        done.append("begun")
        await self.may_end.wait()
        done.append("ended")


@pytest.fixture
async def runner(services: Services) -> AsyncIterator[JobRunner]:
    done.clear()
    runner = JobRunner(services, [note, fail])
    await runner.start()
    yield runner
    await runner.stop()


async def has(*words: str) -> bool:
    return done == list(words)


async def test_a_job_is_done_soon_and_once_for_its_id(services: Services, runner: JobRunner) -> None:
    assert await services.jobs.send("note", "hello", job_id="1")
    assert not await services.jobs.send("note", "hello", job_id="1")
    await wait_until(lambda: _finished(services))
    assert done == ["hello"]
    assert await services.jobs.send("note", "again", job_id="1")  # a finished job leaves nothing in the way
    await wait_until(lambda: has("hello", "again"))


async def _finished(services: Services) -> bool:
    return not await services.redis.exists(f"{job_key_prefix}1")


async def test_a_failed_job_is_counted_and_ends(services: Services, runner: JobRunner) -> None:
    before = metrics.JOBS.labels("fail", "failed")._value.get()
    await services.jobs.send("fail", job_id="1")
    await wait_until(lambda: _finished(services))
    assert done == ["failing"]
    assert metrics.JOBS.labels("fail", "failed")._value.get() == before + 1


async def test_what_waits_in_redis_is_msgpack_and_runs_no_code(services: Services) -> None:
    await services.jobs.send("note", "hello", job_id="1")
    raw = await services.redis.get(f"{job_key_prefix}1")
    assert raw[0] != 0x80  # where a pickle begins
    assert b"hello" in raw


async def test_a_stop_waits_for_the_job_that_runs_and_takes_no_other(services: Services) -> None:
    done.clear()
    slow = Slow()
    runner = JobRunner(services, [slow])
    await runner.start()
    await services.jobs.send("slow", job_id="1")
    await wait_until(lambda: has("begun"))
    stopping = asyncio.create_task(runner.stop())
    await services.jobs.send("slow", job_id="2")
    slow.may_end.set()
    await stopping
    assert done == ["begun", "ended"]


async def test_jobs_go_on_when_redis_comes_back(own_servers: EmbeddedServers) -> None:
    done.clear()
    settings = Settings(database_url=own_servers.database_url, redis_url=own_servers.redis_url)
    async with open_services(settings, name="test") as services:
        runner = JobRunner(services, [note])
        await runner.start()
        await services.jobs.send("note", "before", job_id="1")
        await wait_until(lambda: _finished(services))
        assert done == ["before"]

        own_servers.valkey.kill()
        assert not await services.jobs.send("note", "lost", job_id="2")
        own_servers.valkey.start()

        async def sent() -> bool:
            return await services.jobs.send("note", "after", job_id="3")

        await wait_until(sent)
        await wait_until(lambda: has("before", "after"), limit_s=2.0)
        await runner.stop()
