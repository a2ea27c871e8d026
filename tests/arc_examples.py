"""Small training examples whose rule is known: family k turns its input by k quarter turns."""

import numpy as np

from solution.arc.task import Pair, frozen
from solution.finetune.examples import Family
from solution.finetune.mixture import Examples, Mixture


def turning_families(families=3, each=12, seed=0) -> list[Family]:
    rng = np.random.default_rng(seed)
    found = []
    for k in range(families):
        grids = [rng.integers(0, 10, rng.integers(1, 5, 2)).astype(np.uint8) for _ in range(each)]
        found.append(Family.of(f"family{k}", (Pair(frozen(g), frozen(np.rot90(g, k))) for g in grids)))
    return found


def turning_mixture(families=3, each=12, seed=0) -> Mixture:
    return Mixture(((1.0, Examples("turning", turning_families(families, each, seed))),))


def write_packed(path, families) -> None:
    """Write what `read_packed` reads."""
    pairs = [p for family in families for p in family.pairs]
    np.savez_compressed(
        path,
        keys=np.array([f.id for f in families]),
        owner=np.repeat(np.arange(len(families)), [len(f.pairs) for f in families]),
        shapes=np.array([(*p.input.shape, *p.output.shape) for p in pairs], np.uint8),
        cells=np.concatenate([g.ravel() for p in pairs for g in (p.input, p.output)]),
    )
