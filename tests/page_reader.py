"""Reads HTML pages, and text that no page may execute."""

from __future__ import annotations

from html.parser import HTMLParser

from avt_memocmt.emotions import EMOTIONS

VOID = {"meta", "br", "img", "hr", "link", "input"}


HOSTILE = (
    "</title><script>alert('x')</script><img src=x onerror=\"alert(1)\">&amp;\x00\udc80 ünï 🎭"
)


def chances(emotion, top=0.7):
    rest = (1 - top) / (len(EMOTIONS) - 1)
    return tuple(top if name == emotion else rest for name in EMOTIONS)


class Page(HTMLParser):
    """Checks that tags are balanced, and keeps what the tests look at."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        is_layout = data.isspace() and "\n" in data  # of the source, between two elements
        if "style" not in self.open and not is_layout:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def attributes(self, wanted):
        return [attrs for tag, attrs in self.tags if tag == wanted]
