"""The files of all capabilities have addresses of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.http.kit.static_files import FILES, read_files


def test_a_file_is_found_without_its_capability() -> None:
    assert {"js/page.js", "js/wait.js", "css/base.css", "icon.svg"} <= FILES.keys()
    assert {name.count("/") for name in FILES} == {0, 1}


def test_two_files_never_share_an_address(tmp_path: Path) -> None:
    for capability in ("line", "shop"):
        (tmp_path / capability / "js").mkdir(parents=True)
        (tmp_path / capability / "js" / "page.js").write_text("// a script")
    with pytest.raises(ValueError, match=r"js/page\.js"):
        read_files(tmp_path)
