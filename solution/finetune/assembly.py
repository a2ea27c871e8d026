"""Tokens of many tasks at once, by index arithmetic on the device that trains on them.

In:  a pack in device memory, `Draws`, a length. Out: a `Batch` of right-padded sequences.
Equal, token for token, to `codec.arc16.Arc16.encode` of the same tasks (tests/test_finetune_pack.py). One code for CPU and
CUDA; nothing waits for the device. Not here: which tasks (`draws`), batches' shapes (`streams`).
"""

import numpy as np
import torch

from ..arc.view import apply_symmetry
from ..codec.arc16 import END, INPUT, OUTPUT, PAD, ROW, X_BITS, Y_BITS
from .batches import Batch
from .draws import NUM_COLOURS, Draws
from .mixture import MAX_PAIRS
from .pack import Pack

SEGMENTS = 2 * MAX_PAIRS
"""A sequence is so many grids, inputs and outputs in turn, each behind its marker; unused ones are empty."""


def _steps() -> np.ndarray:
    """How the eight symmetries read a grid of w columns: int64 (8, 6). Their first cell is in the last row, in the last column
    (0 or 1 each); one cell down is so many rows and so many columns on, and one to the right likewise."""
    rows = []
    for symmetry in range(8):
        place = apply_symmetry(np.arange(6).reshape(2, 3), symmetry)
        first, down, right = place[0, 0], place[1, 0] - place[0, 0], place[0, 1] - place[0, 0]
        rows.append((first // 3 > 0, first % 3 > 0, *((np.sign(s), 0) if abs(s) == 3 else (0, s) for s in (down, right))))
    return np.array([(a, b, *c, *d) for a, b, c, d in rows], np.int64)


class Assembler:
    """A pack on a device. `assemble` lays tasks out."""

    def __init__(self, pack: Pack, device: torch.device):
        self.device = device
        counts = pack.counts
        starts = np.cumsum(counts.ravel()) - counts.ravel()  # of every input and output among the cells
        self.cells = torch.from_numpy(pack.cells).to(device)
        self._starts = torch.from_numpy(starts.reshape(-1, 2)).to(device)
        self._shapes = torch.from_numpy(pack.shapes.astype(np.int64).reshape(-1, 2, 2)).to(device)
        self._steps = torch.from_numpy(_steps()).to(device)
        self._slots = torch.arange(MAX_PAIRS, device=device)

    def assemble(self, draws: Draws, length: int, rows: int | None = None) -> Batch:
        """The tasks as sequences of `length` tokens, and sequences of padding up to `rows` in all.

        No task may have more tokens than `length`: it would be cut off in silence.
        """
        tasks, device = len(draws), self.device
        rows = rows or tasks
        table = np.zeros((rows, MAX_PAIRS + 3 + NUM_COLOURS), np.int64)  # one transfer to the device
        table[:tasks] = np.column_stack([draws.pairs, draws.counts, draws.symmetry, draws.first_pair, draws.colours])
        table = torch.from_numpy(table)
        if device.type == "cuda":
            table = table.pin_memory()
        table = table.to(device, non_blocking=True)
        pairs, colours = table[:, :MAX_PAIRS], table[:, MAX_PAIRS + 3 :]
        count, symmetry, first_pair = (table[:, MAX_PAIRS + i, None] for i in range(3))

        # Segment by segment, all (rows, SEGMENTS): heights and widths as shown, where they begin, how they are read.
        turned = (symmetry & 1) ^ (symmetry >> 2)  # whether the symmetry exchanges the sides
        height, width = self._shapes[pairs].flatten(1, 2).unbind(-1)
        shown_height, shown_width = torch.where(turned == 1, width, height), torch.where(turned == 1, height, width)
        used = (self._slots < count).repeat_interleave(2, 1)
        is_output = torch.arange(SEGMENTS, device=device) & 1
        size = shown_height * (shown_width + 1)  # tokens between the marker and END
        ends = (used * (1 + size + is_output)).cumsum(1)
        begins = ends - used * (1 + size + is_output)
        last_row, last_column, down_rows, down_columns, right_rows, right_columns = self._steps[symmetry].unbind(-1)
        first = self._starts[pairs].flatten(1) + last_row * (height - 1) * width + last_column * (width - 1)
        down, right = down_rows * width + down_columns, right_rows * width + right_columns
        pair_number = torch.arange(SEGMENTS, device=device) + 2 * first_pair

        # Token by token, all (rows, length).
        where = torch.arange(length, device=device).expand(rows, length).contiguous()
        segment = torch.searchsorted(ends.contiguous(), where, right=True)
        padding = segment == SEGMENTS
        segment.clamp_(max=SEGMENTS - 1)
        offset = where - begins.gather(1, segment) - 1  # -1: the marker
        columns = shown_width.gather(1, segment) + 1
        y = offset.div(columns, rounding_mode="trunc")
        x = offset - y * columns
        output = segment & 1 == 1
        marker = offset < 0
        end = output & (offset == size.gather(1, segment))
        row = (x == columns - 1) & ~marker
        special = marker | end | row | padding
        place = first.gather(1, segment) + y * down.gather(1, segment) + x * right.gather(1, segment)
        colour = self.cells[place.masked_fill_(special, 0)].long()
        ids = colours.gather(1, colour)
        ids.masked_fill_(row, ROW).masked_fill_(end, END).masked_fill_(padding, PAD)
        ids = torch.where(marker & ~padding, INPUT + output.long() * (OUTPUT - INPUT), ids)
        yx = ((y + 1) << X_BITS | (x + 1)) - end.long()  # END stands in column 0
        positions = pair_number.gather(1, segment) << (X_BITS + Y_BITS) | yx.masked_fill_(marker, 0)
        positions.masked_fill_(padding, 0)
        supervised = output & (segment > 1) & ~marker & ~padding
        return Batch(ids, positions, supervised, int(draws.tokens.sum()))
