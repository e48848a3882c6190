"""docs/map.md shows the package as it is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "map.md"
PACKAGE = ROOT / "src" / "llark"


def rows(page: str) -> dict[str, str]:
    """Path → purpose of each line of the tree."""
    tree = page.split("## The tree", 1)[1].split("```")[1]
    return dict(re.findall(r"^([\w/]+\.py) +(\S.*)$", tree, re.MULTILINE))


def test_the_map_has_every_file_of_the_package_once_with_a_purpose_and_no_other() -> None:
    listed = rows(PAGE.read_text("utf-8"))
    there = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert set(listed) == there
    assert len(there) > 150
    assert all(len(purpose) > 10 for purpose in listed.values())


def test_every_file_that_the_map_names_elsewhere_exists() -> None:
    text = PAGE.read_text("utf-8").split("```")[-1]
    named = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|yaml))`", text)) - {"prepare/datasets/NAME.py"}
    missing = [
        name for name in named
        if not any((base / name).exists() for base in (PACKAGE, ROOT))
        and not re.search(r"[A-Z]{3,}", name)
    ]  # fmt: skip
    assert len(named) > 20
    assert missing == []
