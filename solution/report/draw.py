"""Grids and loss curves as text that stands inside an HTML page.

In:  grids, losses. Out: `<img>` with the grid as a PNG of one pixel a cell, `<svg>` with a curve. Nothing outside the page.
Not here: the page (`page`).
"""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from ..arc.task import Grid

PALETTE = bytes.fromhex("0000000074d9ff41362ecc40ffdc00aaaaaaf012beff851b7fdbff870c25")
"""The colours 0 to 9 of ARC's own viewer, three bytes each (red, green, blue)."""
CURVE_WIDTH, CURVE_HEIGHT = 160, 28
CURVE_POINTS = 80
LEAST_LOSS = 1e-5


def grid_png(grid: Grid) -> bytes:
    """`grid` as a PNG file: one pixel a cell, four bits a pixel, indices into `PALETTE`."""
    height, width = grid.shape
    even = np.zeros((height, width + width % 2), np.uint8)  # two pixels a byte, the left one high
    even[:, :width] = grid
    lines = np.zeros((height, 1 + even.shape[1] // 2), np.uint8)  # each line starts with its filter: 0, none
    lines[:, 1:] = even[:, 0::2] << 4 | even[:, 1::2]
    header = struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)  # 4 bits, by palette, not interlaced
    parts = ((b"IHDR", header), (b"PLTE", PALETTE), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def grid_image(grid: Grid, cell: int) -> str:
    """`grid` as an `<img>`, each cell `cell` CSS pixels wide; the page's style draws the lines between the cells."""
    height, width = grid.shape
    data = base64.b64encode(grid_png(grid)).decode()
    return (
        f'<span class="g"><img src="data:image/png;base64,{data}" width="{width * cell}" height="{height * cell}" '
        f'alt="{height}x{width}"></span>'
    )


def loss_curve(losses: Sequence[float]) -> str:
    """The losses of a training, one a step, as a small `<svg>`: steps to the right, the logarithm of the loss upwards.

    More than `CURVE_POINTS` steps are averaged into that many. The curve fills the height: read values beside it.
    """
    chunks = np.array_split(np.asarray(losses, float), min(len(losses), CURVE_POINTS))
    heights = np.log([max(chunk.mean(), LEAST_LOSS) for chunk in chunks])
    low, high = heights.min(), heights.max()
    x = np.linspace(1, CURVE_WIDTH - 1, len(heights))
    y = CURVE_HEIGHT - 2 - (heights - low) / max(high - low, 1e-9) * (CURVE_HEIGHT - 4)
    points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, y))
    return f'<svg width="{CURVE_WIDTH}" height="{CURVE_HEIGHT}"><polyline points="{points}"/></svg>'
