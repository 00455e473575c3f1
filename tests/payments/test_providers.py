"""Every charge belongs to the payment provider that took it: who is asked, refunded and believed is decided by that."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.audit import invariants, provider_records
from app.domain.charge import SIMULATOR, ChargeStatus
from app.domain.reservation import ReservationStatus
from app.lane.commands import Cancel
from app.ledger import charges
from app.payments import registry
from app.payments.checkout import Checkout, Paid, PaidStatus
from app.payments.provider import (
    GatewayAnswer,
    PaymentProvider,
    SignatureInvalid,
    Verdict,
    WebhookEvent,
    WebhookNotUnderstood,
)
from app.payments.redirects import why_no_redirect
from app.payments.registry import ProviderContext, ProviderMissing, Providers, UnknownMethod, make_providers
from app.payments.webhook_signature import WebhookSecrets
from config.settings import Settings, SettingsError
from tests.lane.world import EVENT, HOLD_FOR
from tests.payments.acme import ORIGIN, SIGNATURE, AcmePay, Order
from tests.payments.shop import KAKAO, Shop


@pytest.fixture
def acme() -> AcmePay:
    return AcmePay(secret=b"a" * 32)


def both(shop: Shop, acme: AcmePay) -> Providers:
    return Providers([shop.simulator(), acme])


def checkout(shop: Shop, acme: AcmePay) -> Checkout:
    made = shop.checkout()
    made.providers = both(shop, acme)
    return made


async def later(shop: Shop, acme: AcmePay, seconds: float = 60.0) -> None:
    """Time passes; the payer and the lane do what is due."""
    shop.world.time.pass_s(seconds)
    payer = shop.payer()
    payer.providers = both(shop, acme)
    await payer.round()
    await shop.world.allocator().run(EVENT)


async def sent_away(shop: Shop, acme: AcmePay) -> Paid:
    """A hold whose buyer was sent to acme's page."""
    paid = await checkout(shop, acme).pay(await shop.held(), "card", None)
    assert paid.status is PaidStatus.pending
    return paid


async def status_of(shop: Shop, paid: Paid) -> ReservationStatus:
    return (await shop.reservation(paid.charge.reservation_id)).status


async def believed(shop: Shop, acme: AcmePay, body: bytes) -> bool:
    """A webhook of acme's, as the endpoint handles it."""
    event = await acme.read_webhook({SIGNATURE: acme.sign(body)}, body)
    assert event is not None
    handled = await checkout(shop, acme).handle_webhook(acme.name, event)
    await shop.world.allocator().run(EVENT)
    return handled


async def test_a_buyer_is_sent_to_the_provider_pays_there_and_gets_the_money_back(shop: Shop, acme: AcmePay) -> None:
    paid = await sent_away(shop, acme)
    assert paid.redirect_url == f"{ORIGIN}/checkout?order={paid.charge.id}"
    assert (paid.charge.provider, paid.charge.reference) == ("acme", f"acme-{paid.charge.id}")
    back = acme.orders[paid.charge.id].return_url
    assert back == f"https://shop.example/reservations/{paid.charge.reservation_id}"
    assert await believed(shop, acme, acme.buyer_pays(paid.charge.id))
    assert await status_of(shop, paid) is ReservationStatus.confirmed
    await shop.world.do(Cancel(id="x", reservation_id=paid.charge.reservation_id, holder="ann"))
    await later(shop, acme)
    assert acme.orders[paid.charge.id].state == "VOID"
    money = (await charges.money_of(shop.world.db, [paid.charge.reservation_id]))[paid.charge.reservation_id]
    assert money.status == "refunded"


async def violations(shop: Shop, *providers: PaymentProvider) -> list[str]:
    found = await invariants.check(shop.world.redis, shop.world.db, EVENT, shop.world.time.at, providers)
    return [violation.detail for violation in found if violation.invariant == "I7"]


async def test_the_audit_asks_each_provider_for_its_own_charges(shop: Shop, acme: AcmePay) -> None:
    paid = await sent_away(shop, acme)
    assert await violations(shop, *both(shop, acme)) == [], "the buyer is on acme's page"
    await believed(shop, acme, acme.buyer_pays(paid.charge.id))
    await checkout(shop, acme).pay(await shop.held(1), KAKAO, None)
    assert await violations(shop, *both(shop, acme)) == []
    acme.orders[paid.charge.id].state = "VOID"
    assert await violations(shop, *both(shop, acme)) == [
        f"payment {paid.charge.id} is captured, but acme says refunded"
    ]
    acme.orders[paid.charge.id].state, acme.orders[paid.charge.id].amount = "PAID", 1
    (wrong,) = await violations(shop, *both(shop, acme))
    assert wrong.endswith(f"is of {(paid.charge.amount, paid.charge.amount, 1)}, not of {paid.charge.amount}")


async def test_the_audit_finds_money_that_nobody_asked_for(shop: Shop, acme: AcmePay) -> None:
    """Also a charge of ours that another provider has taken."""
    simulated = (await shop.pay(await shop.held())).charge
    acme.orders = {name: Order(name, 1, "", "PAID") for name in ("c_unknown", simulated.id)}
    acme.orders["c_declined"] = Order("c_declined", 1, "", "REJECTED")
    found = [f"acme has money for {name}, which nobody asked for" for name in ("c_unknown", simulated.id)]
    assert await violations(shop, *both(shop, acme)) == found
    everything = await invariants.check_all(shop.world.redis, shop.world.db, shop.world.time.at, list(both(shop, acme)))
    assert [violation.detail for violation in everything[invariants.NO_EVENT]] == found
    assert EVENT not in everything


async def test_the_audit_says_of_which_provider_it_could_not_read_the_records(
    shop: Shop, acme: AcmePay, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent_away(shop, acme)
    said = "the records of acme cannot be compared: "
    missing = f"{said}the settings name no such payment provider, and it has charges"
    assert await violations(shop, shop.simulator()) == [missing]
    acme.answers_are_lost = True
    assert await violations(shop, *both(shop, acme)) == [f"{said}acme did not answer"]
    acme.answers_are_lost, acme.hangs = False, True
    monkeypatch.setattr(provider_records, "READ_S", 0.01)
    assert await violations(shop, *both(shop, acme)) == [f"{said}no answer within 0.01 s"]


async def test_what_changes_while_the_provider_is_asked_is_compared_the_next_time(shop: Shop, acme: AcmePay) -> None:
    """The provider says captured; by then the charge we had read as given up long ago would look wrong, or the other
    way round."""
    paid = await sent_away(shop, acme)

    async def given_up() -> None:
        charge = await charges.transition(shop.world.db, paid.charge, ChargeStatus.refund_due)
        await acme.refund(charge.id, charge.amount)
        await charges.transition(shop.world.db, charge, ChargeStatus.refunded)

    acme.meanwhile = given_up
    assert await violations(shop, *both(shop, acme)) == []
    assert await violations(shop, *both(shop, acme)) == []
    assert acme.orders[paid.charge.id].state == "VOID"


async def test_asking_again_gives_the_same_page_until_the_hold_is_over(shop: Shop, acme: AcmePay) -> None:
    held = await shop.held()
    first = await checkout(shop, acme).pay(held, "card", "ann:1")
    again = await checkout(shop, acme).pay(held, "card", None)
    assert (again.charge.id, again.redirect_url) == (first.charge.id, first.redirect_url)
    shop.world.time.pass_s(HOLD_FOR.total_seconds())
    late = await checkout(shop, acme).pay(held, "card", "ann:1")
    assert (late.status, late.redirect_url) == (PaidStatus.pending, None), "nobody pays for a hold that is over"


async def test_whoever_pays_without_a_webhook_is_found_by_asking(shop: Shop, acme: AcmePay) -> None:
    paid = await sent_away(shop, acme)
    await later(shop, acme)
    assert await status_of(shop, paid) is ReservationStatus.pending, "still on the provider's page"
    acme.buyer_pays(paid.charge.id)
    await later(shop, acme)
    assert await status_of(shop, paid) is ReservationStatus.confirmed


async def test_whoever_never_pays_is_given_up_at_the_provider_when_the_hold_is_over(shop: Shop, acme: AcmePay) -> None:
    paid = await sent_away(shop, acme)
    await later(shop, acme, HOLD_FOR.total_seconds())
    await shop.world.do(Cancel(id="x", reservation_id=paid.charge.reservation_id))
    await later(shop, acme)
    assert acme.orders[paid.charge.id].state == "VOID"
    acme.buyer_pays(paid.charge.id)
    assert acme.orders[paid.charge.id].state == "VOID", "nothing is taken after a refund"


async def test_a_lost_answer_is_asked_for_at_the_provider_that_lost_it(shop: Shop, acme: AcmePay) -> None:
    acme.answers_are_lost = True
    paid = await checkout(shop, acme).pay(await shop.held(), "card", None)
    assert paid.status is PaidStatus.unclear
    acme.answers_are_lost = False
    acme.buyer_pays(paid.charge.id)
    await later(shop, acme)
    assert acme.asked["find"] == 1
    assert await status_of(shop, paid) is ReservationStatus.confirmed


async def test_a_webhook_is_believed_only_of_the_provider_that_took_the_charge(shop: Shop, acme: AcmePay) -> None:
    """Who may sign for one provider could otherwise have any charge of another declared paid."""
    paid = await sent_away(shop, acme)
    captured = GatewayAnswer(Verdict.captured, "sim", paid.charge.amount)
    assert not await checkout(shop, acme).handle_webhook(SIMULATOR, WebhookEvent(paid.charge.id, captured))
    simulated = await checkout(shop, acme).pay(await shop.held(1), KAKAO, None)
    assert not await checkout(shop, acme).handle_webhook("acme", WebhookEvent(simulated.charge.id, captured))
    assert await status_of(shop, paid) is ReservationStatus.pending


async def test_a_webhook_signed_for_another_provider_is_refused(shop: Shop, acme: AcmePay) -> None:
    paid = await sent_away(shop, acme)
    body = acme.buyer_pays(paid.charge.id)
    stranger = AcmePay(secret=b"b" * 32)
    for headers in ({}, {SIGNATURE: stranger.sign(body)}, {SIGNATURE: acme.sign(b"other")}):
        with pytest.raises(SignatureInvalid):
            await acme.read_webhook(headers, body)
    with pytest.raises(SignatureInvalid):
        await shop.simulator().read_webhook({SIGNATURE: acme.sign(body)}, body)
    with pytest.raises(WebhookNotUnderstood):
        await acme.read_webhook({SIGNATURE: acme.sign(b"{}")}, b"{}")


@pytest.mark.parametrize(
    "page",
    [
        "https://evil.example/checkout",
        "http://pay.acme.example/checkout",
        "http://127.0.0.1:9/checkout",
        "https://pay.acme.example@evil.example/",
        "https://pay.acme.example.evil.example/",
        "javascript:alert(1)",
        "//pay.acme.example/",
        "/reservations/x",
    ],
)
async def test_a_redirect_to_anywhere_else_is_no_answer(shop: Shop, acme: AcmePay, page: str) -> None:
    acme.page = page
    paid = await checkout(shop, acme).pay(await shop.held(), "card", None)
    assert (paid.status, paid.redirect_url) == (PaidStatus.unclear, None)


def test_plain_http_is_for_development_on_this_machine() -> None:
    here = "http://127.0.0.1:9"
    assert why_no_redirect(f"{here}/pay", [here], https_only=False) == ""
    assert why_no_redirect(f"{here}/pay", [here], https_only=True) == "it is not https"
    assert why_no_redirect("http://pay.example/", ["http://pay.example"], https_only=False) == "it is not https"
    for bad in (f"{ORIGIN}/\r\nset-cookie: a=b", f"{ORIGIN}/ space", f"{ORIGIN}/é", ORIGIN + "/" + "a" * 2000):
        assert "characters" in why_no_redirect(bad, [ORIGIN], https_only=True)
    assert why_no_redirect("https://[::1/", [ORIGIN], https_only=True) == "it is not an address"


async def test_a_charge_of_a_provider_that_is_no_longer_named_waits_until_it_is(shop: Shop, acme: AcmePay) -> None:
    paid = await sent_away(shop, acme)
    acme.buyer_pays(paid.charge.id)
    await shop.later()
    stands = await charges.get(shop.world.db, paid.charge.id)
    assert stands is not None
    assert stands.status is ChargeStatus.started
    await later(shop, acme, 10)
    assert await status_of(shop, paid) is ReservationStatus.confirmed


def means(shop: Shop, **settings: Any) -> ProviderContext:
    time = shop.world.time
    return ProviderContext(
        settings=Settings(**settings),
        webhook_secrets=WebhookSecrets([]),
        db=shop.world.db,
        now=time.now,
        sleep=shop.sleep,
        random=float,
    )


async def test_the_settings_name_the_providers_in_order(
    shop: Shop, acme: AcmePay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.MAKERS, "acme", lambda _: acme)
    assert make_providers(means(shop)).methods == ("naver_pay", "kakao_pay", "bank_transfer")
    made = make_providers(means(shop, payment_providers="acme simulator"))
    assert made.methods == ("card", "naver_pay", "kakao_pay", "bank_transfer")
    assert (made.for_method("card").name, made.for_method("kakao_pay").name) == ("acme", SIMULATOR)
    assert [made.method_name("card", language) for language in ("ko", "en", "fr")] == [
        "신용카드",
        "Credit card",
        "Credit card",
    ]
    closing = make_providers(means(shop, payment_providers="acme", payment_providers_refund_only="simulator"))
    assert closing.methods == ("card",)
    assert closing.of_charge(SIMULATOR).name == SIMULATOR
    assert closing.method_name("kakao_pay", "en") == "Kakao Pay"
    with pytest.raises(UnknownMethod, match="'kakao_pay' is not a payment method"):
        closing.for_method("kakao_pay")
    with pytest.raises(ProviderMissing, match="'gone'"):
        closing.of_charge("gone")
    with pytest.raises(SettingsError, match=r"TIKETI_PAYMENT_PROVIDERS: unknown payment provider 'acmee'"):
        make_providers(means(shop, payment_providers="acmee"))
    with pytest.raises(SettingsError, match="at least one provider"):
        make_providers(means(shop, payment_providers=" "))
    assert made.redirect_origins == {ORIGIN}


async def test_a_charge_that_names_no_provider_is_the_simulators(shop: Shop) -> None:
    """Those that were written before there were several."""
    named = (await shop.pay(await shop.held())).charge
    columns = "id, reservation_id, event_id, method, amount, status, next_at, created_at"
    copied = columns.replace("id, ", "'c_old', ", 1)
    async with shop.world.db.write() as tx:
        await tx.execute(text("UPDATE charges SET status = 'failed'"))
        await tx.execute(text(f"INSERT INTO charges ({columns}) SELECT {copied} FROM charges"))
    old = await charges.get(shop.world.db, "c_old")
    assert old is not None
    assert (named.provider, old.provider) == (SIMULATOR, SIMULATOR)
