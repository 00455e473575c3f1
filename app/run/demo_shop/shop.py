"""The demo shop: a small site of its own, for which Tiketi's middleware decides who may buy.

It knows nothing of Tiketi but the middleware around it: whose visit a request is, and that `Tiketi-Visit: end` ends it.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.connect.passes import Visit
from app.run.demo_shop import pages
from app.run.demo_shop.crowd import SIZE, Crowd
from app.run.demo_shop.record import Record
from config.demo import PRODUCTS

ORDERS_MAX = 100_000
SEE_OTHER = 303
ORDER_BYTES = 9


@dataclass(slots=True)
class Shop:
    """`tiketi`: where its forms may lead besides to itself. `crowd`: who goes to the waiting room on a click."""

    seconds: Callable[[], float]
    tiketi: str
    crowd: Crowd
    record: Record = field(init=False)
    orders: OrderedDict[str, str] = field(default_factory=OrderedDict)  # order → product

    def __post_init__(self) -> None:
        self.record = Record(self.seconds)

    def app(self) -> Starlette:
        routes = [
            Route("/", self.home, methods=["GET"]),
            Route("/buy/{product}", self.checkout, methods=["GET"]),
            Route("/buy/{product}", self.buy, methods=["POST"]),
            Route("/thanks/{order}", self.thanks, methods=["GET"]),
            Route("/record", self.show_record, methods=["GET"]),
            Route("/crowd", self.send_crowd, methods=["POST"]),
            Route("/healthz", self.healthz, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={404: self.unknown}, lifespan=self.crowd.lifespan)

    async def home(self, request: Request) -> Response:
        return self._page(pages.home(_lang(request), PRODUCTS, SIZE, self.crowd.left))

    async def send_crowd(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site":
            return await self.unknown(request, None)  # a click on a page of somebody else's
        self.crowd.send()
        return RedirectResponse("/", SEE_OTHER)

    async def checkout(self, request: Request) -> Response:
        product, visit = PRODUCTS.get(request.path_params["product"]), _visit(request)
        if product is None:
            return await self.unknown(request, None)
        self.record.came(visit)
        minutes = max(1, round((visit.expires_s - self.seconds()) / 60))
        return self._page(pages.checkout(_lang(request), product, visit.number, minutes))

    async def buy(self, request: Request) -> Response:
        """One order a visit: a form that is sent twice buys once."""
        name, visit = request.path_params["product"], _visit(request)
        if name not in PRODUCTS:
            return await self.unknown(request, None)
        seen = self.record.came(visit)
        if not seen.order:
            seen.order = secrets.token_urlsafe(ORDER_BYTES)
            self.orders[seen.order] = name
            if len(self.orders) > ORDERS_MAX:
                self.orders.popitem(last=False)
        return RedirectResponse(f"/thanks/{seen.order}", SEE_OTHER)

    async def thanks(self, request: Request) -> Response:
        """The visit ends here; who opens the page again sees it without one."""
        order = request.path_params["order"]
        if order not in self.orders:
            return await self.unknown(request, None)
        response = self._page(pages.thanks(_lang(request), PRODUCTS[self.orders[order]], order))
        visit: Visit | None = request.scope["tiketi"]
        if visit is not None:
            self.record.ended(visit)
            response.headers["Tiketi-Visit"] = "end"
        return response

    async def show_record(self, _: Request) -> Response:
        visits = [asdict(seen) for seen in self.record.visits()]
        return JSONResponse({"forgotten": self.record.forgotten, "visits": visits})

    async def healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def unknown(self, request: Request, _: Exception | None) -> Response:
        return self._page(pages.unknown(_lang(request)), 404)

    def _page(self, text: str, status: int = 200) -> Response:
        policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self' {self.tiketi}"
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Vary": "Accept-Language"}
        return HTMLResponse(text, status, headers)


def _lang(request: Request) -> str:
    return pages.language_of(request.headers.get("accept-language", ""))


def _visit(request: Request) -> Visit:
    visit: Visit | None = request.scope["tiketi"]
    assert visit is not None, "the middleware lets nobody buy without one"
    return visit
