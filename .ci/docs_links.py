"""Links of pages that are also read in the repository, from where the pages are on the site."""

import re

# files that are not on the site: their names are in the words of the link
ELSEWHERE = re.compile(r"\[([^\]]+)\]\(\.\./(?!docs/)[^)]+\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    return ELSEWHERE.sub(r"\1", markdown).replace("](../docs/", "](")
