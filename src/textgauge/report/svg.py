"""Plots as SVG elements: they print, follow the page's colours, and can be read without a mouse.

Each series' points stand in `data-points` too, for the page's script to show them on hover. All
text goes through an XML writer, so none of it can become markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.etree import ElementTree

from markupsafe import Markup

WIDTH, HEIGHT = 480, 300
"""Of a plot, in its own units; the page scales it."""

_LEFT, _TOP, _END, _GROUND = 58, 12, WIDTH - 24, HEIGHT - 46
_TICKS = 5
_ROWS = 50


@dataclass(frozen=True)
class Series:
    """A line of a plot.

    Attributes:
        name: for the legend.
        x: rising. As long as `y`.
        y: the values.
        sizes: areas of the points, in [0, 1]; None draws no points.
        line: whether the points are joined.

    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    sizes: Sequence[float] | None = None
    line: bool = True


@dataclass(frozen=True)
class Axis:
    """An axis: its title, its range (None: that of the values), and how its values are written.

    Attributes:
        title: what it shows, with the unit.
        low: where it begins.
        high: where it ends.
        percent: whether values are shares.
        whole: whether ticks are whole numbers.
        values: what stands at the places 0, 1, 2 …, where these are ranks.

    """

    title: str
    low: float | None = None
    high: float | None = None
    percent: bool = False
    whole: bool = False
    values: Sequence[float] | None = None

    def told(self, value: float) -> str:
        """A value as people write it."""
        if self.values is not None:
            return number(self.values[round(value)])
        if self.percent:
            return (
                f"{value:.0%}" if abs(value * 100 - round(value * 100)) < 1e-9 else f"{value:.1%}"
            )
        return number(value)


def number(value: float) -> str:
    """A number as people write it, short.

    >>> number(1995.0), number(0.04338), number(2_555_150.0), number(9.06e9)
    ('1995', '0.04338', '2.56 m', '9.06 bn')
    """
    for size, unit in ((1e9, " bn"), (1e6, " m")):
        if abs(value) >= size:
            return f"{value / size:,.3g}{unit}"
    return f"{value:.6g}" if abs(value) >= 1_000 else f"{value:.4g}"


@dataclass(frozen=True)
class Plot:
    """A plot with all that a reader needs to know of it.

    Attributes:
        title: what it is.
        says: what can be seen in it, in a sentence; also for those who cannot see it.
        svg: the drawing.
        header: of the table with the same values.
        rows: of that table, as people write them.
        names: of the series, for the legend.

    """

    title: str
    says: str
    svg: Markup
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: Sequence[str]


def plot(
    title: str,
    says: str,
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    marked: float | None = None,
    diagonal: bool = False,
) -> Plot:
    """Draw lines over each other.

    Args:
        title: what it is.
        says: what can be seen.
        series: at most four can be told apart.
        x: the axis along.
        y: the axis upwards.
        marked: a place along, where a line is drawn.
        diagonal: whether to draw where both are equal.

    """
    frame = _Frame(
        _range(x, [value for each in series for value in each.x]),
        _range(y, [value for each in series for value in each.y]),
    )
    root = ElementTree.Element(
        "svg",
        {
            "class": "plot",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            "tabindex": "0",
            "aria-label": f"{title}. {says}",
            "data-x": x.title,
            "data-frame": f"{_LEFT} {_TOP} {_END} {_GROUND}",
        },
    )
    for value in _ticks(*frame.upwards, whole=y.whole):
        _line(root, "grid", (_LEFT, frame.y(value)), (_END, frame.y(value)))
        _text(root, "tick end", (_LEFT - 6, frame.y(value) + 4), y.told(value))
    for value in _ticks(*frame.across, whole=x.whole):
        _line(root, "notch", (frame.x(value), _GROUND), (frame.x(value), _GROUND + 4))
        _text(root, "tick mid", (frame.x(value), _GROUND + 18), x.told(value))
    _line(root, "axis", (_LEFT, _GROUND), (_END, _GROUND))
    _text(root, "title mid", ((_LEFT + _END) / 2, HEIGHT - 8), x.title)
    upward = _text(root, "title mid", (0, 0), y.title)
    upward.set("transform", f"translate(13 {(_TOP + _GROUND) / 2:g}) rotate(-90)")
    if diagonal:
        both = [max(frame.across[0], frame.upwards[0]), min(frame.across[1], frame.upwards[1])]
        _line(root, "ideal", *((frame.x(value), frame.y(value)) for value in both))
    if marked is not None:
        _line(root, "marked", (frame.x(marked), _TOP), (frame.x(marked), _GROUND))
    for number, each in enumerate(series):
        _draw(root, number, each, frame, x, y)
    drawing = Markup(ElementTree.tostring(root, encoding="unicode"))
    return Plot(title, says, drawing, *_as_table(series, x, y), [each.name for each in series])


@dataclass(frozen=True)
class _Frame:
    """From values to places; what lies beyond an axis stands at its end."""

    across: tuple[float, float]
    upwards: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.across
        return round(_LEFT + _within((value - low) / (high - low)) * (_END - _LEFT), 1)

    def y(self, value: float) -> float:
        low, high = self.upwards
        return round(_GROUND - _within((value - low) / (high - low)) * (_GROUND - _TOP), 1)


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _draw(
    root: ElementTree.Element, number: int, each: Series, frame: _Frame, x: Axis, y: Axis
) -> None:
    places = [(frame.x(a), frame.y(b)) for a, b in zip(each.x, each.y, strict=True)]
    told = [f"{x.told(a)};{y.told(b)}" for a, b in zip(each.x, each.y, strict=True)]
    group = ElementTree.SubElement(
        root,
        "g",
        {
            "class": f"series s{number}",
            "data-name": each.name,
            "data-points": " ".join(f"{a:g},{b:g}" for a, b in places),
            "data-told": "|".join(told),
        },
    )
    if each.line:
        path = "L".join(f"{a:g} {b:g}" for a, b in places)
        ElementTree.SubElement(group, "path", {"d": f"M{path}"})
    for (a, b), size in zip(places, each.sizes or (), strict=False):
        radius = f"{2.5 + 7 * size**0.5:.1f}"
        ElementTree.SubElement(group, "circle", {"cx": f"{a:g}", "cy": f"{b:g}", "r": radius})


def _line(
    root: ElementTree.Element, name: str, start: tuple[float, float], end: tuple[float, float]
) -> None:
    places = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    ElementTree.SubElement(
        root, "line", {"class": name, **{key: f"{value:g}" for key, value in places.items()}}
    )


def _text(
    root: ElementTree.Element, name: str, place: tuple[float, float], content: str
) -> ElementTree.Element:
    element = ElementTree.SubElement(
        root, "text", {"class": name, "x": f"{place[0]:g}", "y": f"{place[1]:g}"}
    )
    element.text = content
    return element


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """Where an axis begins and ends; never at the same value."""
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-300) or high <= low:
        half = abs(low) * 0.05 or 0.5
        return low - half, high + half
    return low, high


def _ticks(low: float, high: float, *, whole: bool) -> list[float]:
    """Round values between `low` and `high`: steps of 1, 2 or 5 times a power of ten.

    >>> _ticks(0.0, 1.0, whole=False), _ticks(1, 13, whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [2.0, 4.0, 6.0, 8.0, 10.0, 12.0])
    """
    raw = (high - low) / _TICKS
    power = 10.0 ** floor(log10(raw))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= raw * 0.8)
    step = max(step, 1.0) if whole else step
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _as_table(series: Sequence[Series], x: Axis, y: Axis) -> tuple[list[str], list[list[str]]]:
    """The same values as a table: a row for each place along, thinned to some that say enough."""
    values = [dict(zip(each.x, each.y, strict=True)) for each in series]
    places = sorted({place for each in values for place in each})
    shown = places[:: -(-len(places) // _ROWS)] if places else []
    rows = [
        [x.told(place), *(y.told(each[place]) if place in each else "" for each in values)]
        for place in shown
    ]
    return [x.title, *(each.name for each in series)], rows
