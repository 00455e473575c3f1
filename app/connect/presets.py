"""Rules to begin with, by the kind of shop. In each, assets, health checks, payment call-backs and the admin pass.

Everything else needs a pass. What passes is named narrowly: WordPress, for one, answers any address that is no file by
what the query says, so a rule for a folder would let the whole shop pass.
"""

from __future__ import annotations

from typing import Any

READ = ["GET", "HEAD"]
ASSET_ENDINGS = ("css", "js", "mjs", "png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "ico", "woff", "woff2", "map")
HEALTH: dict[str, Any] = {
    "action": "pass",
    "method": READ,
    "path": ["=/healthz", "=/health", "=/readyz", "=/robots.txt", "=/favicon.ico", "/.well-known/acme-challenge"],
    "queryOnly": [],
}
# names of payment call-backs: what is no name to WooCommerce (nothing, zero, signs) it leaves to the pages of the shop
CALLBACKS = ["*a*", "*c*", "*e*", "*i*", "*o*", "*u*"]
# files that WordPress has: at other addresses below /wp-admin it answers with pages of the shop
WORDPRESS_ADMIN = (
    *("about", "admin", "admin-footer", "async-upload", "comment", "credits", "customize", "edit", "edit-comments"),
    *("edit-tags", "erase-personal-data", "export", "export-personal-data", "import", "index", "load-scripts"),
    *("load-styles", "media", "media-new", "media-upload", "nav-menus", "options", "options-discussion"),
    *("options-general", "options-media", "options-permalink", "options-privacy", "options-reading"),
    *("options-writing", "plugin-editor", "plugin-install", "plugins", "post", "post-new", "privacy", "profile"),
    *("revision", "site-editor", "site-health", "term", "theme-editor", "theme-install", "themes", "tools"),
    *("update", "update-core", "upload", "user-edit", "user-new", "users", "widgets"),
)


def _assets(*folders: str, versions: tuple[str, ...] = ("v", "ver", "version")) -> dict[str, Any]:
    """Files of these folders, read with nothing in the query but a version."""
    paths = [f"{folder}*.{ending}" for folder in folders for ending in ASSET_ENDINGS]
    return {"action": "pass", "method": READ, "path": paths, "queryOnly": list(versions)}


PRESETS: dict[str, list[dict[str, Any]]] = {
    "plain": [
        HEALTH,
        _assets("/assets/", "/static/"),
        {"action": "pass", "path": ["/webhooks", "/admin"]},
    ],
    "woocommerce": [
        HEALTH,
        _assets("/wp-content/", "/wp-includes/", "/wp-admin/css/", "/wp-admin/js/", "/wp-admin/images/"),
        # answered by WooCommerce itself, which then ends: also with anything else in the query
        {"action": "pass", "path": ["=/"], "query": {"wc-api": CALLBACKS}, "ignoreCase": True},
        {
            "action": "pass",
            "path": ["/wc-api/*"],
            "also": [
                {"negate": True, "path": ["=/wc-api/", "=/wc-api/0", "=/wc-api/0/"]},
                {"negate": True, "query": {"wc-api": "*"}},
            ],
        },
        {"action": "queue", "query": {"add-to-cart": "*"}},
        {"action": "pass", "method": READ, "path": ["=/wp-admin", "=/wp-admin/"], "queryOnly": []},
        {"action": "pass", "path": ["=/wp-login.php", "=/wp-cron.php"]},
        {"action": "pass", "path": [f"=/wp-admin/{name}.php" for name in WORDPRESS_ADMIN]},
    ],
    "shopify": [
        HEALTH,
        _assets("/cdn/", "/assets/", "/s/files/"),
        {"action": "pass", "path": ["/webhooks", "/admin"]},
        {"action": "pass", "method": READ, "path": ["/checkouts/internal/preloads.js"], "queryOnly": ["v", "locale"]},
    ],
}


def preset(name: str) -> list[dict[str, Any]]:
    """The rules of this name, to be changed at will. Raises KeyError, naming those there are."""
    if name not in PRESETS:
        raise KeyError(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return [dict(rule) for rule in PRESETS[name]]
