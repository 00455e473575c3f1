"""nginx with the shipped configuration, on another port and before other web processes than compose.yaml's."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.ports import kept_port
from tests.waiting import wait_until

NGINX = Path(__file__).parent.parent / "config" / "nginx"


def why_no_nginx() -> str:
    """Why it cannot be run here, or nothing."""
    return "" if shutil.which("nginx") else "there is no nginx on PATH"


def written(folder: Path, *, port: int, upstreams: Sequence[int] = ()) -> Path:
    """The shipped configuration, changed only in what belongs to one machine: ports, and where it may write.

    Without `upstreams` it names the web processes that it names as shipped.
    """
    conf = (NGINX / "nginx.conf").read_text()
    assert "listen 8080 " in conf
    conf = conf.replace("listen 8080 ", f"listen 127.0.0.1:{port or 8080} ").replace("/tmp/", f"{folder}/")
    if os.geteuid() == 0:
        conf = f"user root;\n{conf}"
    shipped = (NGINX / "upstream.conf").read_text()
    assert "    server 127.0.0.1:8000 " in shipped
    servers = "".join(f"    server 127.0.0.1:{each};\n" for each in upstreams)
    kept = "\n".join(line for line in shipped.splitlines() if not line.startswith("    server "))
    (folder / "upstream.conf").write_text(kept.replace("{\n", "{\n" + servers, 1) if upstreams else shipped)
    for name in ("locations.conf", "proxies.conf"):
        (folder / name).write_text((NGINX / name).read_text())
    file = folder / "nginx.conf"
    file.write_text(conf)
    return file


def certificate(folder: Path) -> None:
    """A certificate of its own for this machine, and its key, as tls.conf names them."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "privkey.pem").write_bytes(pem)


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
