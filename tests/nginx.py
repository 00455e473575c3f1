"""nginx with the shipped configuration, on another port and before other web processes than compose.yaml's."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.ports import kept_port
from tests.waiting import wait_until

NGINX = Path(__file__).parent.parent / "config" / "nginx"


def why_no_nginx() -> str:
    """Why it cannot be run here, or nothing."""
    return "" if shutil.which("nginx") else "there is no nginx on PATH"


def written(folder: Path, *, port: int, upstreams: Sequence[int]) -> Path:
    """The shipped configuration, changed only in what belongs to one machine: ports, and where it may write."""
    conf = (NGINX / "nginx.conf").read_text()
    assert "listen 8080 " in conf
    conf = conf.replace("listen 8080 ", f"listen 127.0.0.1:{port or 8080} ").replace("/tmp/", f"{folder}/")
    if os.geteuid() == 0:
        conf = f"user root;\n{conf}"
    shipped = (NGINX / "upstream.conf").read_text()
    assert "    server web:8000 resolve " in shipped
    servers = "".join(f"    server 127.0.0.1:{each};\n" for each in upstreams)
    kept = [line for line in shipped.splitlines() if not line.startswith(("resolver", "    server "))]
    (folder / "upstream.conf").write_text("\n".join(kept).replace("{\n", "{\n" + servers, 1))
    file = folder / "nginx.conf"
    file.write_text(conf)
    return file


@asynccontextmanager
async def before(folder: Path, upstreams: Sequence[int]) -> AsyncIterator[str]:
    """The URL of an nginx in front of these ports of this machine."""
    with kept_port() as port:
        async with running(written(folder, port=port, upstreams=upstreams), port):
            yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def running(conf: Path, port: int) -> AsyncIterator[None]:
    """nginx with this configuration, which says the port."""
    process = await asyncio.create_subprocess_exec(
        *(shutil.which("nginx") or "nginx", "-c", str(conf), "-g", "daemon off;"), stderr=asyncio.subprocess.DEVNULL
    )

    async def answers() -> bool:
        assert process.returncode is None, "nginx ended"
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    try:
        await wait_until(answers, description="nginx listens")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
