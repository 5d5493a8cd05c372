import json
import re
from html.parser import HTMLParser

import pytest

from dotbogi.figures.curves import epoch_curves
from dotbogi.figures.page import Code, Columns, Drawings, Numbers, Pairs, Picture, Pictures, Section, Table, Text, page

HOSTILE = "</script></style><img src=x onerror=alert(1)>{{ 7*7 }}\"'&amp;"


class Elements(HTMLParser):
    """Counts a page's elements and keeps its texts and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def hostile_page() -> Elements:
    parts = [
        Text(HOSTILE),
        Code(HOSTILE),
        Numbers([(HOSTILE, HOSTILE)]),
        Pairs([(HOSTILE, HOSTILE)]),
        Columns([Table([HOSTILE, HOSTILE], [[HOSTILE, HOSTILE]])]),
        Pictures([Picture("data:image/png;base64,AAAA", HOSTILE, [HOSTILE])]),
        Drawings([epoch_curves(HOSTILE, [1.0, 0.5])]),
    ]
    return Elements(page(HOSTILE, HOSTILE, [Section(HOSTILE, parts)], footer=HOSTILE))


def test_no_text_becomes_an_element(hostile_page: Elements) -> None:
    assert hostile_page.tags.count("script") == 3  # the figure's numbers, plotly.js, what draws
    assert hostile_page.tags.count("style") == 1
    assert hostile_page.addresses == ["data:image/png;base64,AAAA"]


def test_every_text_is_shown_as_it_is(hostile_page: Elements) -> None:
    shown = [text for text in hostile_page.texts if text == HOSTILE]
    assert len(shown) == 17  # the title twice: in the window and on the page


def test_a_figure_is_there_whole() -> None:
    text = page("", "", [Section("", [Drawings([epoch_curves("<Loss>", [1.0, 0.5])])])])
    content = re.search(r'<script type="application/json">(.*?)</script>', text)
    assert content
    assert json.loads(content[1])["layout"]["title"]["text"] == "&lt;Loss&gt;"


def test_nothing_is_fetched_and_plotly_is_there_once() -> None:
    figures = [epoch_curves("Loss", [1.0]), epoch_curves("Accuracy", [0.5])]
    text = page("", "", [Section("", [Drawings(figures)])])
    assert Elements(text).addresses == []
    assert "@import" not in text
    assert text.count("Plotly.react(element") == 1
    assert 4e6 < len(text) < 6e6


def test_the_page_follows_light_and_dark() -> None:
    text = page("", "", [])
    assert "prefers-color-scheme: dark" in text
    assert '"dark": {' in text and '"light": {' in text
