"""The file of a connector's configuration, as `tiketi rooms import` reads it and tells the rules that it would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.origins.connector.imported import Imported
    from app.run.telling import Tell


def imported_from(file: Path, event: str) -> Imported:
    """Raises ConsoleError, OriginRefused."""
    from app.control.origins import OriginRefused
    from app.origins.connector.imported import CONFIG_BYTES_MAX, ConfigError, rules_of
    from app.run.console import ConsoleError

    try:
        with file.open("rb") as opened:
            return rules_of(opened.read(CONFIG_BYTES_MAX + 1), event)
    except OSError as error:
        raise ConsoleError(f"{file} cannot be read: {error}.") from None
    except ConfigError as error:
        raise OriginRefused("connector_config_invalid", why=str(error)) from None


def tell_imported(imported: Imported, saved: bool, tell: Tell) -> None:
    notes = [note.words for note in imported.notes]
    lines = [json.dumps(rule, ensure_ascii=False) for rule in imported.rules]
    lines += [f"Not taken: {each}" for each in notes]
    words = "They are saved." if saved else "Nothing is saved; with --save they are."
    tell({"rules": imported.rules, "notes": notes, "saved": saved}, *lines, words)
