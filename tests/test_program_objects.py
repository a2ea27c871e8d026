"""Rules on objects: how a grid is seen, what is known of objects, and rules that are found again in tasks made from them."""

import numpy as np
import pytest

from solution.program.objects.columns import UNEVEN, Seen, look
from solution.program.objects.features import borrowed_colours, features
from solution.program.objects.patterns import PATTERNS, pattern
from solution.program.objects.regions import PARTS, REGIONS, STEPS, first_steps, part, region
from solution.program.objects.rules import object_explanations
from solution.program.objects.segments import NONE, TURNED_BACK, WAYS, see, shape_code, turned
from solution.program.vocabulary import Image


def grid(rows: str) -> np.ndarray:
    """Rows of digits, apart by spaces; a dot is empty."""
    return np.array([[int(c) for c in row.replace(".", "0")] for row in rows.split()], np.uint8)


def text(cells: np.ndarray) -> str:
    return " ".join("".join(map(str, row)).replace("0", ".") for row in cells.tolist())


def random_grid(rng: np.random.Generator, side: int = 12) -> np.ndarray:
    """Coloured rectangles, some with a hole, on an empty picture."""
    cells = np.zeros((int(rng.integers(6, side)), int(rng.integers(6, side))), np.uint8)
    for _ in range(int(rng.integers(2, 6))):
        y, x = int(rng.integers(0, cells.shape[0] - 1)), int(rng.integers(0, cells.shape[1] - 1))
        tall, wide = rng.integers(1, 5, 2).tolist()
        cells[y : y + tall, x : x + wide] = rng.integers(1, 5)
        if tall > 2 and wide > 2 and rng.random() < 0.5:
            cells[y + 1, x + 1] = 0
    return cells


def scenes_of(seed: int):
    cells = random_grid(np.random.default_rng(seed))
    return [scene for way in WAYS for empty in (0, 1) if (scene := see(cells, way, empty)) is not None]


SEEN = [
    ("one8", "1.2 .1. 2..", "1.2 .1. 3.."),
    ("one4", "1.2 .1. 1..", "1.2 .3. 4.."),
    ("any8", "12. ... ..3", "11. ... ..2"),
    ("any4", "12. ..3 ...", "11. ..2 ..."),
    ("empty", ".1. 11. ...", "1.2 ..2 222"),
    ("colour", "1.2 ..1 2..", "1.2 ..1 2.."),
    ("panels", "..5.. 55555 1.5..", "11.22 ..... 33.44"),
]


@pytest.mark.parametrize("way, cells, labels", SEEN)
def test_ways_to_see(way, cells, labels):
    assert text(see(grid(cells), way, 0).labels) == labels


def test_nothing_to_see():
    assert see(grid(".. .."), "one8", 0) is None
    assert see(grid("1. .."), "panels", 0) is None


@pytest.mark.parametrize("seed", range(6))
def test_arrays_agree_with_labels(seed):
    for scene in scenes_of(seed):
        for i in range(scene.number):
            mask = scene.labels == i + 1
            assert scene.own[i].tolist() == np.flatnonzero(mask).tolist()
            y, x = mask.nonzero()
            assert scene.boxes[i].tolist() == [y.min(), x.min(), y.max() + 1, x.max() + 1]
            assert scene.counts[i].tolist() == np.bincount(scene.cells[mask], minlength=10).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_features_are_an_integer_an_object(seed):
    for scene in scenes_of(seed):
        for values in (*features(scene).values(), *borrowed_colours(scene).values()):
            assert values.shape == (scene.number,) and values.dtype.kind == "i"
        assert all(NONE <= v.min() and v.max() < 10 for v in borrowed_colours(scene).values())


def test_turns_and_shapes():
    mask = np.array([[1, 1, 0], [0, 1, 0]], bool)
    for turn, other in enumerate(turned(mask)):
        assert np.array_equal(turned(other)[TURNED_BACK[turn]], mask)
        assert shape_code(other, True) == shape_code(mask, True)
    assert len({shape_code(other, False) for other in turned(mask)}) == 8
    assert shape_code(mask, True) != shape_code(np.ones((2, 3), bool), True)


@pytest.mark.parametrize("seed", range(6))
def test_regions_and_patterns_lie_in_the_picture(seed):
    for scene in scenes_of(seed):
        cells = scene.cells.ravel()
        for i in range(scene.number):
            for name in REGIONS:
                found = region(scene, i, name)
                assert not len(found) or 0 <= found.min() <= found.max() < cells.size
            for name in PARTS:
                if name != "own" and not name.startswith(("hit", "edge")):
                    assert (cells[part(scene, i, name)] == scene.empty).all(), name
            for name in PATTERNS:
                if (made := pattern(scene, i, name)) is not None:
                    assert len(made[0]) == len(made[1]) > 0 and 0 <= made[0].min() <= made[0].max() < cells.size


REGION_EXAMPLES = [
    ("holes", "111 1.1 111", "... .#. ..."),
    ("box", "11. 1.. ...", "... .#. ..."),
    ("corners", "... .1. ...", "#.# ... #.#"),
    ("sides", "... .1. ...", ".#. #.# .#."),
    ("stopped ray right", "1..2.", ".##.."),
    ("ray right", "1..2.", ".##.#"),
    ("bridge right", "1..2.", ".##.."),
    ("bridge left", "..1", "..."),
    ("hit right", "1..2.", "...#."),
    ("last right", "1..2.", "..#.."),
    ("edge right", "1..2.", "....#"),
    ("ray down right", "1.. ... ...", "... .#. ..#"),
    ("stopped ray away from nearest", "..1..2", "##...."),
]


@pytest.mark.parametrize("name, cells, marks", REGION_EXAMPLES)
def test_regions_of_the_first_object(name, cells, marks):
    scene = see(grid(cells), "one8", 0)
    shown = np.zeros(scene.cells.size, int)
    shown[region(scene, 0, name)] = 1
    rows = shown.reshape(scene.cells.shape).tolist()
    assert " ".join("".join(".#"[v] for v in row) for row in rows) == marks


@pytest.mark.parametrize("seed", range(6))
def test_first_steps_agree_with_rays(seed):
    rng = np.random.default_rng(seed)
    for scene in scenes_of(seed):
        changed = rng.random(scene.cells.size) < 0.5
        width = scene.cells.shape[1]
        for way, (dy, dx) in STEPS.items():
            every, some = first_steps(scene, way, changed)
            for i in range(scene.number):
                ray = part(scene, i, f"stopped ray {way}")
                before = ray - dy * width - dx
                first = ray[np.isin(before, scene.own[i])]
                if len(first):
                    assert every[i] == changed[first].all() and some[i] == changed[first].any()


@pytest.mark.parametrize("seed", range(6))
def test_parts_are_seen_as_by_looking_at_every_object(seed):
    rng = np.random.default_rng(seed)
    for scene in scenes_of(seed):
        output = scene.cells.copy()
        for i in range(scene.number):
            for name in rng.choice(sorted(REGIONS), 2):
                output.ravel()[region(scene, i, name)] = 7
        seen = Seen([scene], [output])
        for name in PARTS:
            shows, gains = seen.part(name)
            if not gains.any():
                continue
            seen.complete(name)
            for i in range(scene.number):
                wanted = look(scene, i, name, seen.flat[0], seen.changed[0])
                if wanted[0] == UNEVEN:
                    assert shows[i] == UNEVEN, name
                else:
                    assert (shows[i], gains[i]) == wanted, name


TASKS = {
    "largest in another colour": (
        "11..2 11... ....3 /2..44 ....4",
        "55..2 55... ....3 /2..55 ....5",
        "3.... ..222 ..22.",
        "3.... ..555 ..55.",
    ),
    "one cell goes": ("11..2 11... 3.... /2..44 .1.44", "11... 11... ..... /...44 ...44", "33.1 33..", "33.. 33.."),
    "holes filled": (
        ".111. .1.1. .111. 2.... /1111 1..1 1111",
        ".111. .141. .111. 2.... /1111 1441 1111",
        "222 2.2 222",
        "222 242 222",
    ),
    "rays": ("..... .1... ..... /...2 .... ....", ".1... 11111 .1... /2222 ...2 ...2", "... ... ..1", "..1 ..1 111"),
    "fall": ("1.2 ... .1. ... /33 .. ..", "... ... ... 112 /.. .. 33", "2.. .1. ...", "... ... 21."),
    "colour by shape": (
        "11..1 11... ..... /1.... ...11 ...11",
        "22..3 22... ..... /3.... ...22 ...22",
        "1..11 ...11",
        "3..22 ...22",
    ),
    "bridge": ("1..1 .... 2..2 /1.1 ... 2..", "1331 .... 2332 /131 ... 2..", ".1...1", ".13331"),
    "the largest alone": ("11..2 11... /3.... ..444", "11 11 /444", "5.. 5.7 5..", "5 5 5"),
    "the odd colour alone": ("1..1. ..2.. 1.... /3.... .44.. ..3.3", "2 /44", "6...66 6..... ...7..", "7"),
    "the same mark at each": (
        "..... ..1.. ..... ..... /...... .1.... ......",
        ".222. .212. .222. ..... /222... 212... 222...",
        "... .1. ...",
        "222 212 222",
    ),
}


def made(name: str) -> tuple[tuple[Image, ...], list[np.ndarray], np.ndarray]:
    """Images, demonstrated outputs and the answer."""
    inputs, outputs, test, answer = TASKS[name]
    images = [grid(g) for g in inputs.split("/")] + [grid(test)]
    return tuple(map(Image, images)), [grid(g) for g in outputs.split("/")], grid(answer)


@pytest.mark.parametrize("name", TASKS)
def test_rules_are_found(name):
    images, outputs, answer = made(name)
    rules = object_explanations(images, outputs)
    assert rules, name
    assert any(np.array_equal(rule.answers[0], answer) for rule in rules[:2]), [(r.program, text(r.answers[0])) for r in rules]
    again = object_explanations(images, outputs)
    assert [(r.program, r.cost) for r in rules] == [(r.program, r.cost) for r in again]
    assert [r.cost for r in rules] == sorted(r.cost for r in rules)


@pytest.mark.parametrize("name", TASKS)
def test_rules_reproduce_the_demonstrations(name):
    images, outputs, _ = made(name)
    for rule in object_explanations((*images[: len(outputs)], *images[: len(outputs)]), outputs):
        assert all(np.array_equal(a, o) for a, o in zip(rule.answers, outputs))


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_not_explained(seed):
    rng = np.random.default_rng(seed)
    images = tuple(Image(rng.integers(0, 3, (8, 8)).astype(np.uint8)) for _ in range(4))
    assert object_explanations(images, [rng.integers(0, 4, (8, 8)).astype(np.uint8) for _ in range(3)]) == []
