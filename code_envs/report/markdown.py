"""Text from users, servers and files in the Markdown of a dataset's card."""

from __future__ import annotations

import html

__all__ = ["in_markdown"]


def in_markdown(text: str) -> str:
    """A text as one line of Markdown, or one cell of a table, in which nothing is markup of HTML or ends the cell."""
    return " ".join(html.escape(text, quote=False).replace("|", "\\|").split())
