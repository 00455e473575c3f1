"""A site's logo is drawn anew from what an admin sends, kept by us, and shown with the site's name as its text."""

from __future__ import annotations

import io

import httpx2
import pytest
from PIL import Image

from app.domain.pictures import PictureFault
from app.ledger import audit_log
from app.origins.logos import SENT_BYTES_MAX, logo_of
from tests.http.buyer import assert_problem
from tests.http.origins.site import SECRETIVE, WAITING, Site, asked, let_in, make_site, visitor
from tests.http.system import System
from tests.pictures import GPS, bomb, moving, photo, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = SECRETIVE
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def sent(system: System, origin_id: str, data: bytes, kind: str = "image/png") -> httpx2.Response:
    async with system.web.client(headers=await system.bearer()) as client:
        path = f"/api/admin/origins/{origin_id}/logo"
        return await client.put(path, content=data, headers={"content-type": kind})


async def logo_page(system: System, site: Site) -> str:
    async with visitor(system, headers={"accept": "text/html"}) as ben:
        return (await ben.go(f"/wait/{site.room_id}")).text


async def test_the_logo_stands_in_place_of_the_name_and_is_gone_with_it(system: System) -> None:
    site = await make_site(system, **WAITING)
    await let_in(system, site.room_id)
    given = (await sent(system, site.origin_id, picture(size=(1200, 300)))).json()["origin"]["logo"]
    assert (given["width"], given["height"]) == (640, 160)
    shown = await logo_page(system, site)
    assert f'src="{given["url"]}" alt="A shop" width="640" height="160"' in shown
    async with system.web.client() as client:
        file = await client.get(given["url"])
    assert file.headers["content-type"] == "image/webp"
    assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert Image.open(io.BytesIO(file.content)).size == (640, 160)
    answer = await asked(system, "DELETE", f"/origins/{site.origin_id}/logo")
    assert answer.json()["origin"]["logo"] is None
    assert given["url"] not in await logo_page(system, site)
    async with system.web.client() as client:
        assert_problem(await client.get(given["url"]), 404, "logo_unknown")


async def test_another_process_shows_it_as_well_and_a_new_one_has_another_address(system: System) -> None:
    site = await make_site(system)
    first = (await sent(system, site.origin_id, picture(seed=1))).json()["origin"]["logo"]["url"]
    second = (await sent(system, site.origin_id, picture(seed=2))).json()["origin"]["logo"]["url"]
    other = await system.another_web()
    async with other.client() as client:
        assert (await client.get(second)).status_code == 200
        assert (await client.get(first)).status_code == 404


async def test_an_origin_that_is_deleted_takes_its_logo_along_and_the_trail_has_no_picture(system: System) -> None:
    wanted = {"id": "passing", "name": "P", "hosts": ["p.example"], "targetUrl": "https://p.example/"}
    assert (await asked(system, "POST", "/origins", wanted)).status_code == 201
    given = (await sent(system, "passing", picture())).json()["origin"]["logo"]
    (entry, _) = await audit_log.listed(system.db, audit_log.AuditFilter(subject="passing"), 10)
    name = given["url"].removeprefix("/look/").removesuffix(".webp")
    assert entry.action == "origin.logo"
    assert entry.change["logo"] == {"name": name, "width": given["width"], "height": given["height"]}
    assert (await asked(system, "DELETE", "/origins/passing")).status_code == 200
    async with system.web.client() as client:
        assert_problem(await client.get(given["url"]), 404, "logo_unknown")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (SVG, PictureFault.kind),
        (b"GIF89a", PictureFault.kind),
        (bomb(), PictureFault.large),
        (picture(size=(2000, 1001)), PictureFault.large),
        (picture(size=(15, 100)), PictureFault.small),
        (moving("WEBP"), PictureFault.animated),
        (picture()[:-40], PictureFault.broken),
        (picture() + b"<script>", PictureFault.mixed),
    ],
)
async def test_what_is_no_small_still_picture_is_refused(system: System, data: bytes, fault: PictureFault) -> None:
    site = await make_site(system)
    refused = assert_problem(await sent(system, site.origin_id, data), 422, "logo_refused")
    assert f"({fault.value})" in refused["detail"]


async def test_a_picture_of_too_many_bytes_or_of_another_kind_is_refused(system: System) -> None:
    site = await make_site(system)
    large = picture() + bytes(SENT_BYTES_MAX)
    assert_problem(await sent(system, site.origin_id, large), 413, "body_too_large")
    assert_problem(await sent(system, site.origin_id, SVG, "image/svg+xml"), 415, "media_type_unsupported")
    assert_problem(await sent(system, "nobody", picture()), 404, "origin_unknown")


async def test_nothing_is_left_of_what_stood_beside_the_pixels() -> None:
    made = await logo_of(photo())
    assert not isinstance(made, PictureFault)
    assert GPS not in made.data
    assert (made.width, made.height) == (213, 160), "turned upright"
