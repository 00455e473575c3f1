"""What passes in every preset, and the ways into a shop that look like it."""

from __future__ import annotations

import pytest

from app.connect.asked import Asked
from app.connect.presets import PRESETS, preset
from app.connect.rules import Action, Rules

FREE = {
    "plain": ["GET /healthz", "GET /assets/a.css?v=3", "GET /static/js/a.js", "POST /webhooks/bank", "POST /admin/x"],
    "woocommerce": [
        "GET /healthz",
        "GET /wp-content/themes/a/style.css?ver=6.4",
        "POST /?wc-api=wc_gateway_bank",
        "POST /?wc-api=WC_Gateway_Bank&order=5",
        "POST /wc-api/wc_gateway_bank/",
        "GET /wc-api/wc_gateway_bank/?order=5",
        "GET /wp-admin/",
        "POST /wp-admin/post.php?post=1&action=edit",
        "POST /wp-login.php",
    ],
    "shopify": ["GET /healthz", "GET /cdn/shop/a.js?v=1", "POST /webhooks/orders", "GET /admin/orders"],
}
QUEUED = {
    "plain": ["GET /", "GET /checkout", "POST /healthz", "GET /assets/../checkout", "GET /administration"],
    "woocommerce": [
        "GET /",
        "GET /Checkout/",
        "POST /?wc-ajax=checkout",
        "GET /healthz?pagename=checkout",
        "GET /wp-content/none.css?pagename=checkout",
        "POST /wp-content/none.css",
        "GET /wp-admin/none?pagename=checkout",
        "GET /wp-admin/?pagename=checkout",
        "POST /wp-admin/admin-ajax.php?action=woocommerce_checkout",
        "GET /wp-login.php?add-to-cart=5",
        "GET /wp-json/wc/store/v1/checkout",
        "GET /wp-json/paypal/v1/incoming?rest_route=/wc/store/v1/checkout",
        "GET /index.php/checkout/x.css",
        "GET /?wc-api=&pagename=checkout",
        "GET /?wc-api=0&pagename=checkout",
        "GET /?wc-api=!&pagename=checkout",
        "GET /?wc-api=bank&wc-api=&pagename=checkout",
        "GET /?wc-api=bank&wc-api[]=&pagename=checkout",
        "GET /?wc-api=bank&+wc-api=&pagename=checkout",
        "GET /wc-api/?pagename=checkout",
        "GET /wc-api/0/?pagename=checkout",
        "GET /wc-api/bank/?wc-api=&pagename=checkout",
        "GET /wc-api/bank/?%20wc-api=&pagename=checkout",
        "GET /WC-API/bank/?pagename=checkout",
    ],
    "shopify": ["GET /", "POST /cart/add.js", "GET /checkouts/c/1", "POST /cdn/shop/a.js"],
}


@pytest.mark.parametrize(
    ("name", "line", "action"),
    [
        *((name, line, Action.let_pass) for name, lines in FREE.items() for line in lines),
        *((name, line, Action.queue) for name, lines in QUEUED.items() for line in lines),
    ],
)
def test_a_preset_lets_pass_what_serves_the_shop_and_nothing_that_sells(name: str, line: str, action: Action) -> None:
    method, target = line.split()
    assert Rules(preset(name)).decide(Asked.at(method, "shop.example", target)) is action


def test_a_preset_is_copied_and_an_unknown_one_is_named() -> None:
    preset("plain").clear()
    assert preset("plain") == PRESETS["plain"]
    with pytest.raises(KeyError, match="woocommerce"):
        preset("magento")
