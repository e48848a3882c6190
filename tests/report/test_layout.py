"""The layout of pages: what it escapes, and what it forbids."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from llark.report import page

VALUES = {
    "title": "Exchanges",
    "counted": "",
    "exchanges": 1,
    "families": [],
    "columns": {},
    "lengths": {},
    "dropped": Counter(),
    "drops": [],
    "samples": {},
    "settings": [],
}
"""What the smallest of the pages needs."""


def rendered(title: str) -> str:
    return page.render("instruct", **{**VALUES, "title": title})


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\"double\" 'single'", "&#34;double&#34; &#39;single&#39;"),
        ("\x1b[31mred", "\ufffd[31mred"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\ufffd"),
        ("{{ 7 * 7 }} {% include 'style.css' %}", "{{ 7 * 7 }} {% include &#39;style.css&#39; %}"),
        ("日本 é ♯", "日本 é ♯"),
    ],
)
def test_a_title_of_any_letters_is_shown_as_it_is_and_never_run(title: str, shown: str) -> None:
    text = rendered(title)
    assert f"<title>{shown}</title>" in text
    assert f"<h1>{shown}</h1>" in text
    assert text.encode("utf-8").decode("utf-8") == text


def test_every_page_forbids_scripts_and_requests_and_brings_its_style() -> None:
    text = rendered("x")
    assert text.startswith("<!doctype html>")
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in text
    assert "--own: #0b6e99" in text
    assert "<script" not in text
    assert "url(" not in text


def test_every_template_has_the_one_layout() -> None:
    folder = Path(page.__file__).parent / "templates"
    names = {path.name.partition(".")[0] for path in folder.glob("*.jinja")} - {"page", "parts"}
    assert names == {"evaluate", "instruct", "prepare"}
    assert all('{% extends "page.html.jinja" %}' in (folder / f"{n}.html.jinja").read_text() for n in names)


def test_a_value_that_is_forgotten_is_an_error_and_no_empty_place() -> None:
    with pytest.raises(UndefinedError, match="families"):
        page.render("instruct", **{name: value for name, value in VALUES.items() if name != "families"})


def test_a_docstring_has_paragraphs_and_code_and_no_tags_of_its_own() -> None:
    assert page.docstring("Of `a<b>`.\n\nNo <i>.") == "<p>Of <code>a&lt;b&gt;</code>.</p><p>No &lt;i&gt;.</p>"


def test_equal_counts_are_ranked_by_name() -> None:
    assert page.ranked({"b": 1, "a": 1, "c": 3}) == [("c", 3), ("a", 1), ("b", 1)]


def test_an_interval_a_bar_and_a_line_stand_at_their_shares_of_the_track() -> None:
    parts = page._environment().get_template("parts.html.jinja").module
    row = {"condition": "audio", "value": 0.5, "low": 0.25, "high": 1.0, "n": 3}
    drawn = parts.estimates([row])  # type: ignore[attr-defined]
    assert 'class="whisker own" style="left:25.0%;width:75.0%"' in drawn
    assert 'class="dot own" style="left:50.0%"' in drawn
    hostile = parts.others([("<b>", 1.2)], 0.3)  # type: ignore[attr-defined]
    assert 'class="other" style="width:100.0%"' in hostile
    assert 'class="ours" style="left:30.0%"' in hostile
    assert "&lt;b&gt;" in hostile
    assert 'class="ours"' not in parts.others([("x", 0.2)])  # type: ignore[attr-defined]
