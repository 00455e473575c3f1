"""A web process that does not answer its webhooks costs the webhook_sender time, and nobody else."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from app.payments.webhook_sender import POSTS_AT_ONCE, posting_to
from tests.waiting import WAIT_MAX_S


async def test_webhooks_nobody_answers_keep_no_thread_that_seats_are_read_in() -> None:
    all_open, over = asyncio.Semaphore(0), asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        all_open.release()
        await over.wait()
        writer.close()

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as everybodys, ThreadPoolExecutor(POSTS_AT_ONCE) as threads:
        loop.set_default_executor(everybodys)
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        post = posting_to(f"http://127.0.0.1:{port}/webhook", threads)
        posts = [asyncio.ensure_future(post(b"{}", {})) for _ in range(POSTS_AT_ONCE + 1)]
        try:
            async with asyncio.timeout(WAIT_MAX_S):
                await all_open.acquire()
            async with asyncio.timeout(2):
                assert await asyncio.to_thread(lambda: "read") == "read"
        finally:
            over.set()
            assert await asyncio.gather(*posts) == [0] * len(posts)
            server.close()
            await server.wait_closed()
