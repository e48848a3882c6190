"""HTML pages that open offline: one layout, one style sheet and the same parts for the page of every stage.

A page is a template in `templates/`; Python only prepares its values. jinja2 escapes everything that comes
from a data set, a model or a user, and the layout forbids scripts and requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from llark.report.terminal import printable


def render(template: str, **values: object) -> str:
    """The page of a template of this folder, filled with values, as text that UTF-8 can write."""
    page = _environment().get_template(f"{template}.html.jinja").render(values)
    return printable(page)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("llark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"ranked": ranked, "docstring": docstring}
    return environment


def ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """(value, count), the most frequent first, those of equal count by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def docstring(text: str) -> Markup:
    """A docstring as HTML: an empty line parts paragraphs, and what stands between backticks is code."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text.strip())))
    return Markup("<p>{}</p>").format(Markup(marked.replace("\n\n", "</p><p>")))
