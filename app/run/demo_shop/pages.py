"""The demo shop's pages: plain HTML in Korean and English, no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from config.demo import Product

STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--paper:#fbfaf7;--line:#d9d5cb;--deep:#7a2e1d;--on-deep:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#ece9e2;--paper:#191a1d;--line:#3b3c40;--deep:#e59a83;--on-deep:#191a1d}}
*{box-sizing:border-box}
a{color:var(--deep)}
body{word-break:keep-all;overflow-wrap:anywhere}
body{margin:0;background:var(--paper);color:var(--ink);font:1.0625rem/1.6 system-ui,"Noto Sans KR",sans-serif}
header,main,footer{max-width:60rem;margin:auto;padding:1.25rem}
header{display:flex;justify-content:space-between;align-items:baseline;border-bottom:1px solid var(--line)}
header a{color:inherit;font-weight:700;text-decoration:none}
h1{font-size:1.75rem;line-height:1.25;margin:.5rem 0 1rem;text-wrap:balance}
ul{list-style:none;margin:2rem 0;padding:0;display:grid;gap:1.5rem;
grid-template-columns:repeat(auto-fit,minmax(15rem,1fr))}
li{border:1px solid var(--line);border-radius:.75rem;overflow:hidden;display:flex;flex-direction:column}
svg{display:block;width:100%;height:auto}
li div{padding:1rem 1.25rem 1.25rem;display:flex;flex-direction:column;flex:1}
h2{font-size:1.125rem;margin:0}
li p{margin:.25rem 0 1rem}
.buy,button{display:inline-block;margin-top:auto;background:var(--deep);color:var(--on-deep);font:inherit;font-weight:600;
text-align:center;text-decoration:none;border:0;border-radius:.5rem;padding:.75rem 1.25rem;cursor:pointer}
.quiet{background:none;color:var(--deep);border:2px solid var(--deep)}
a:focus-visible,button:focus-visible{outline:3px solid currentColor;outline-offset:3px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem;margin:1.5rem 0}
dd{margin:0;overflow-wrap:anywhere}
footer{border-top:1px solid var(--line);font-size:.9375rem}
"""

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "name": "Tiketi Records",
        "demo": "Demo shop",
        "title": "Three new records, a few copies of each",
        "intro": "Look around as long as you like. Buying goes through the waiting room.",
        "crowd_why": "Nobody else is here, so you would not wait. To see a line:",
        "crowd": "Send {count} others before me",
        "crowd_left": "{count} simulated visitors are in line or buying. Press Buy now, and you wait behind them.",
        "buy": "Buy",
        "in_title": "You are in: {product}",
        "in_text": "It is yours until {minutes} minutes from now at the latest.",
        "number": "Your number",
        "price": "Price",
        "pay": "Pay {price}",
        "thanks_title": "Thank you! {product} is yours.",
        "thanks_text": "Your visit has ended with this page, and the next in line comes in.",
        "order": "Order",
        "back": "Back to the shop",
        "unknown_title": "There is no such page",
        "footer": "A site of its own, which stands behind a Tiketi waiting room. Nothing is charged or sent.",
    },
    "ko": {
        "name": "티케티 레코드",
        "demo": "데모 상점",
        "title": "새 음반 세 장, 수량 한정",
        "intro": "천천히 둘러보세요. 구매할 때는 대기실을 거칩니다.",
        "crowd_why": "지금은 다른 방문자가 없어 기다리지 않고 바로 들어갑니다. 대기열을 보려면:",
        "crowd": "먼저 {count}명 보내기",
        "crowd_left": "가상 방문자 {count}명이 대기 중이거나 구매 중입니다. 지금 구매하면 그 뒤에서 기다립니다.",
        "buy": "구매하기",
        "in_title": "입장했습니다: {product}",
        "in_text": "지금부터 최대 {minutes}분 동안 구매할 수 있습니다.",
        "number": "내 번호",
        "price": "가격",
        "pay": "{price} 결제하기",
        "thanks_title": "감사합니다! {product}, 구매가 완료되었습니다.",
        "thanks_text": "이 페이지와 함께 이용이 끝났고, 다음 차례인 분이 입장합니다.",
        "order": "주문 번호",
        "back": "상점으로 돌아가기",
        "unknown_title": "없는 페이지입니다",
        "footer": "티케티 대기실 뒤에 있는 별도의 사이트입니다. 실제로 결제되거나 배송되지 않습니다.",
    },
}


def language_of(accepted: str) -> str:
    """Korean if the browser asks for it first, else English."""
    return "ko" if accepted.strip().lower().startswith("ko") else "en"


def home(lang: str, products: Mapping[str, Product], crowd_size: int, crowd_left: int) -> str:
    """With a button that sends a crowd to the waiting room, while none is there."""
    said = WORDS[lang]
    items = "".join(_item(lang, name, product) for name, product in products.items())
    if crowd_left:
        crowd = f"<p role=status>{escape(said['crowd_left'].format(count=crowd_left))}</p>"
    else:
        button = f'<button class="quiet">{escape(said["crowd"].format(count=crowd_size))}</button>'
        crowd = f'<p>{escape(said["crowd_why"])}</p><form method="post" action="/crowd">{button}</form>'
    body = f"<h1>{escape(said['title'])}</h1><p>{escape(said['intro'])}</p>{crowd}<ul>{items}</ul>"
    return _page(lang, said["name"], body)


def _item(lang: str, name: str, product: Product) -> str:
    said = WORDS[lang]
    title, price = escape(product.name[lang]), _price(product)
    label = escape(f"{said['buy']}: {product.name[lang]}")
    link = f'<a class="buy" href="/buy/{name}" aria-label="{label}">{escape(said["buy"])}</a>'
    return f"<li>{_cover(product)}<div><h2>{title}</h2><p>{price}</p>{link}</div></li>"


def _cover(product: Product) -> str:
    low, high = product.colours
    return (
        f'<svg viewBox="0 0 400 240" aria-hidden="true"><rect width="400" height="240" fill="{low}"/>'
        f'<circle cx="200" cy="150" r="96" fill="{high}"/><rect y="165" width="400" height="75" fill="{low}"/>'
        f'<path d="M0 190h400M40 205h320M100 220h200" stroke="{high}" stroke-width="3"/></svg>'
    )


def checkout(lang: str, product: Product, number: int, minutes: int) -> str:
    said = WORDS[lang]
    body = (
        f"<h1>{escape(said['in_title'].format(product=product.name[lang]))}</h1>"
        f"<p>{escape(said['in_text'].format(minutes=minutes))}</p>"
        f"<dl><dt>{escape(said['number'])}</dt><dd>{number:,}</dd>"
        f"<dt>{escape(said['price'])}</dt><dd>{_price(product)}</dd></dl>"
        f'<form method="post"><button>{escape(said["pay"].format(price=_price(product)))}</button></form>'
    )
    return _page(lang, said["name"], body)


def thanks(lang: str, product: Product, order: str) -> str:
    said = WORDS[lang]
    body = (
        f"<h1>{escape(said['thanks_title'].format(product=product.name[lang]))}</h1>"
        f"<p>{escape(said['thanks_text'])}</p>"
        f"<dl><dt>{escape(said['order'])}</dt><dd>{escape(order)}</dd>"
        f"<dt>{escape(said['price'])}</dt><dd>{_price(product)}</dd></dl>"
        f'<p><a href="/">{escape(said["back"])}</a></p>'
    )
    return _page(lang, said["name"], body)


def unknown(lang: str) -> str:
    said = WORDS[lang]
    body = f'<h1>{escape(said["unknown_title"])}</h1><p><a href="/">{escape(said["back"])}</a></p>'
    return _page(lang, said["name"], body)


def _price(product: Product) -> str:
    return f"₩{product.price:,}"


def _page(lang: str, title: str, body: str) -> str:
    said = WORDS[lang]
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head><body>'
        f'<header><a href="/">{escape(said["name"])}</a><span>{escape(said["demo"])}</span></header>'
        f"<main>{body}</main><footer><p>{escape(said['footer'])}</p></footer></body></html>"
    )
