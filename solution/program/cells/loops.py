"""The inner loops of learning rules on cells, compiled where numba is there.

In:  features and sources of all cells as arrays. Out: which features decide, what their tables are like, what a table writes.
Keys of three features make one number: 32 x 32 x 32 = 32,768 of them.
Not here: what the features are (`features`), which rules are kept (`rules`).
"""

import numpy as np

from ..compiled import compiled
from .maps import OUTSIDE


@compiled
def consistent_tables(values, possible, known, grown, size, apart, pairs, stamp, masks, found):
    """Sets of `size` features under which every cell of the demonstrations has a source that is right for all alike.

    `values`: uint8 (features, cells), below 32, feature 0 the same everywhere; the first `known` cells are the demonstrations',
    and `possible`: uint64 (known,) has a bit for every source that is right there. The last `grown` features are of the output:
    where there are any, each set has at least one, and cells of the tests are not looked at. `apart`: uint64 (features, words), a
    bit for each of some pairs of cells which no source is right for both of: whether the feature tells them apart. A set has
    to tell every pair apart; nearly all fail here, so that few tables are filled. `pairs`: bool (features, features), True
    for sets of two (or one, with 0) that are consistent and whose supersets are left out; it grows.
    `stamp`: int32, `masks`: uint64 (32768,), scratch, stamps zero. `found`: int32 (most, 3). Returns how many were found.
    """
    number = 0
    epoch = 0
    count, cells = values.shape
    last = count - 1
    words = apart.shape[1]
    together = np.zeros(words, np.uint64)
    everything = ~np.uint64(0)
    for first in range(1 if size == 3 else 0, count if size == 3 else 1):
        for second in range(first + 1 if size > 1 else 0, count if size > 1 else 1):
            if size > 1 and (pairs[first, second] or pairs[0, second] or pairs[0, first]):
                continue
            start = max(second + 1, count - grown) if grown else second + 1
            for word in range(words):
                together[word] = apart[first, word] | apart[second, word]
            for third in range(start, last + 1):
                right = True
                for word in range(words):
                    if together[word] | apart[third, word] != everything:
                        right = False
                        break
                if not right:
                    continue
                if size > 1 and (pairs[first, third] or pairs[second, third] or pairs[0, third]):
                    continue
                epoch += 1
                for cell in range(known):
                    key = (np.int64(values[first, cell]) * 32 + values[second, cell]) * 32 + values[third, cell]
                    if stamp[key] != epoch:
                        stamp[key] = epoch
                        masks[key] = possible[cell]
                    else:
                        masks[key] &= possible[cell]
                        if masks[key] == 0:
                            right = False
                            break
                if not right:
                    continue
                if size < 3:
                    pairs[second, third] = True
                if not grown:
                    for cell in range(known, cells):
                        key = (np.int64(values[first, cell]) * 32 + values[second, cell]) * 32 + values[third, cell]
                        if stamp[key] != epoch:
                            right = False
                            break
                if right and number < len(found):
                    found[number, 0], found[number, 1], found[number, 2] = first, second, third
                    number += 1
    stamp[:] = 0
    return number


@compiled
def rate_tables(values, possible, owner, sets, stamp, slot, fits, rated):
    """What the tables of some sets of features are like.

    `owner`: int (known,), the demonstration of each cell, 0 first. `sets`: int32 (sets, 3). `stamp`, `slot`: int32 (32768,),
    `fits`: uint64 (demonstrations, 32768), scratch, stamps zero. Writes into `rated`, int64 (sets, 4): rows; rows that do
    not keep the cell; the sources used, as bits; demonstrations that the table of the others does not explain.
    """
    everything = ~np.uint64(0)
    one = np.uint64(1)
    demonstrations = len(fits)
    for number in range(len(sets)):
        first, second, third = sets[number]
        rows = 0
        for cell in range(len(possible)):
            key = (np.int64(values[first, cell]) * 32 + values[second, cell]) * 32 + values[third, cell]
            if stamp[key] != number + 1:
                stamp[key] = number + 1
                slot[key] = rows
                for demonstration in range(demonstrations):
                    fits[demonstration, rows] = everything
                rows += 1
            fits[owner[cell], slot[key]] &= possible[cell]
        changing, unexplained = 0, 0
        used = np.uint64(0)
        for row in range(rows):
            right = everything
            for demonstration in range(demonstrations):
                right &= fits[demonstration, row]
            lowest = right & (~right + one)
            used |= lowest
            changing += lowest != one
        for left_out in range(demonstrations):
            for row in range(rows):
                if fits[left_out, row] == everything:
                    continue
                right = everything
                for demonstration in range(demonstrations):
                    if demonstration != left_out:
                        right &= fits[demonstration, row]
                lowest = right & (~right + one)
                if right == everything or not fits[left_out, row] & lowest:
                    unexplained += 1
                    break
        rated[number, 0], rated[number, 1], rated[number, 2], rated[number, 3] = rows, changing, np.int64(used), unexplained
    stamp[:] = 0


@compiled
def write(chosen, values, table, colours, steps, sequence, answer):
    """Fill `answer`, uint8 (height, width), cell by cell as in `sequence`. False where the table does not know a cell.

    `chosen`: int (3,), indices into `values`, uint8 (features, cells); negative ones, -1 - i, are what the answer has at
    `steps`[i]. `table`: int (32768,), key -> source, -1 unknown. `colours`: uint8 (sources, cells).
    """
    height, width = answer.shape
    for cell in sequence:
        y, x = cell // width, cell % width
        key = np.int64(0)
        for feature in chosen:
            if feature >= 0:
                value = np.int64(values[feature, cell])
            else:
                row, column = y + steps[-1 - feature, 0], x + steps[-1 - feature, 1]
                value = np.int64(OUTSIDE)
                if 0 <= row < height and 0 <= column < width:
                    value = np.int64(answer[row, column])
            key = key * 32 + value
        source = table[key]
        if source < 0:
            return False
        answer[y, x] = colours[source, cell]
    return True
