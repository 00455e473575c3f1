"""The formats of Queue-it's KnownUser connectors (v3 to v5), which a shop may keep as they are. Pure, as facts of their
public sources: they ask no server; all they know comes as redirects, a signed part of an address, and their own cookie.
"""
