"""What a cell is like by the panel that it lies in, where full lines of one colour cut the image into panels of one size.

In:  cells of one image. Out: features and sources by name, the same names for every image; 0 where there are no panels.
Not here: images cut into lists of panels (`splits`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .maps import Maps, cut, rank, whole

FEATURES = (
    "filled in panel", "rank of panel by filled", "rank of panel by filled from below", "colours in panel",
    "rank of panel by colours", "panels like this one", "panel is empty", "panel row", "panel column", "row in panel",
    "column in panel", "filled here in panels", "separator", "panel colour",
)  # fmt: skip
SOURCES = (
    "here in fullest panel", "here in emptiest panel", "here in panel of most colours", "here in panel of fewest colours",
    "here in odd panel", "place of panel in fullest panel", "place of panel in emptiest panel",
    "place of panel in panel of most colours", "place of panel in panel of fewest colours", "most frequent here",
    "colour of panel",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Panels:
    """`cells`: uint8 (panels down, panels across, height, width). `rows`, `columns`: int, of every line of the image its number
    within the panels, -1 for separators."""

    cells: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def lines_between(cells: np.ndarray) -> tuple[int, np.ndarray]:
    """The colour of full rows that cut equally high panels, and the number of every row within them; -1 for these rows."""
    same = (cells == cells[:, :1]).all(1) & (cells[:, 0] != 0)
    for colour in np.unique(cells[same, 0]):
        full = same & (cells[:, 0] == colour)
        starts = np.flatnonzero(~full & np.concatenate(([True], full[:-1])))
        ends = np.flatnonzero(~full & np.concatenate((full[1:], [True]))) + 1
        heights = set((ends - starts).tolist())
        if full.any() and len(heights) == 1 and len(starts) > 1:
            numbers = np.where(full, -1, (~full).cumsum() - 1)
            return int(colour), numbers
    return 0, np.arange(len(cells))


def panels_along(numbers: np.ndarray) -> int:
    """How many runs of lines lie between separators."""
    inside = numbers >= 0
    return int(inside[0]) + int(np.count_nonzero(inside[1:] & ~inside[:-1]))


@lru_cache(64)
def _panels(data: bytes, height: int, width: int) -> Panels | None:
    cells = np.frombuffer(data, np.uint8).reshape(height, width)
    (across, rows), (down, columns) = lines_between(cells), lines_between(cells.T)
    if not across and not down:
        return None
    inside = cells[rows >= 0][:, columns >= 0]
    number = panels_along(rows), panels_along(columns)
    high, wide = len(inside) // number[0], inside.shape[1] // number[1]
    return Panels(inside.reshape(number[0], high, number[1], wide).swapaxes(1, 2), rows, columns)


def panels_of(cells: np.ndarray) -> Panels | None:
    """The panels of an image; None where no lines cut it into at least two of one size."""
    return _panels(np.ascontiguousarray(cells).tobytes(), *cells.shape)


def spread(panels: Panels, values: np.ndarray) -> np.ndarray:
    """For every cell of the image its value, int (down, across, height, width) broadcast; 0 on separators."""
    down, across, high, wide = panels.cells.shape
    inside = np.broadcast_to(values, panels.cells.shape).swapaxes(1, 2).reshape(down * high, across * wide)
    found = np.zeros((len(panels.rows), len(panels.columns)), int)
    found[np.ix_(panels.rows >= 0, panels.columns >= 0)] = inside
    return found


def statistics(panels: Panels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every panel: filled cells, number of colours, number of panels equal to it; int (down, across) each."""
    flat = panels.cells.reshape(*panels.cells.shape[:2], -1)
    colours = sum((flat == colour).any(2).astype(int) for colour in range(1, 10))
    contents = [panel.tobytes() for row in flat for panel in row]
    alike = np.array([contents.count(content) for content in contents]).reshape(colours.shape)
    return (flat != 0).sum(2), colours, alike


def panel_features(cells: np.ndarray) -> Maps:
    """The features named in `FEATURES`."""
    panels = panels_of(cells)
    if panels is None:
        return {name: whole(cells, 0) for name in FEATURES}
    filled, colours, alike = statistics(panels)
    down, across, high, wide = panels.cells.shape
    by_panel = (
        filled + 1, ranks(filled), ranks(-filled), colours + 1, ranks(colours), alike, (filled == 0) + 1,
        np.broadcast_to(np.arange(1, down + 1)[:, None], filled.shape), np.broadcast_to(np.arange(1, across + 1), filled.shape),
    )  # fmt: skip
    values = [spread(panels, v[:, :, None, None]) for v in by_panel]
    values.append(spread(panels, np.arange(1, high + 1)[None, None, :, None]))
    values.append(spread(panels, np.arange(1, wide + 1)[None, None, None, :]))
    values.append(spread(panels, (panels.cells != 0).sum((0, 1))[None, None] + 1))
    values.append((panels.rows < 0)[:, None] | (panels.columns < 0)[None, :])
    values.append(spread(panels, main_colours(panels)[:, :, None, None]))
    return {name: cut(v) for name, v in zip(FEATURES, values, strict=True)}


def ranks(values: np.ndarray) -> np.ndarray:
    return rank(values.ravel()).reshape(values.shape)


def main_colours(panels: Panels) -> np.ndarray:
    """The most frequent colour of every panel, int (down, across)."""
    flat = panels.cells.reshape(*panels.cells.shape[:2], -1)
    counts = np.stack([(flat == colour).sum(2) for colour in range(1, 10)])
    return np.where(counts.max(0) > 0, counts.argmax(0) + 1, 0)


def panel_sources(cells: np.ndarray) -> Maps:
    """The sources named in `SOURCES`."""
    panels = panels_of(cells)
    if panels is None:
        return {name: whole(cells, 0) for name in SOURCES}
    filled, colours, alike = statistics(panels)
    down, across, high, wide = panels.cells.shape
    flat = panels.cells.reshape(-1, high, wide)
    chosen = [flat[values.ravel().argmax()] for values in (filled, -filled, colours, -colours)]
    values = [panel[None, None] for panel in (*chosen, flat[alike.ravel().argmin()])]
    for panel in chosen:
        fits = (high, wide) == (down, across)
        values.append(panel[:, :, None, None] if fits else np.zeros((1, 1, 1, 1), int))
    counts = np.stack([(panels.cells == colour).sum((0, 1)) for colour in range(1, 10)])
    values.append(np.where(counts.max(0) > 0, counts.argmax(0) + 1, 0)[None, None])
    values.append(main_colours(panels)[:, :, None, None])
    return {name: spread(panels, v).astype(np.uint8) for name, v in zip(SOURCES, values, strict=True)}
