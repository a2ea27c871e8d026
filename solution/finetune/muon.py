"""Muon whose matrix products are in the type that the device multiplies fast.

In:  float32 matrices with gradients. Out: the same matrices, one step on.
torch's Muon, which this follows (tests/test_finetune.py compares them), always multiplies in bfloat16: on a CPU without bf16
that takes 40 times as long as float32. Here a matrix is also normalized before it is rounded, for gradients that float16
could not hold.
Not here: which parameters are matrices, learning rates over time (`train`).
"""

import math

import torch


def orthogonalized(matrix: torch.Tensor, group: dict, dtype: torch.dtype) -> torch.Tensor:
    """`matrix` (rows, columns) with singular values near 1, in `dtype`, by Newton-Schulz steps as an optimizer's group says."""
    a, b, c = group["ns_coefficients"]
    x = (matrix / matrix.norm().clamp(min=group["eps"])).to(dtype)
    tall = matrix.shape[0] > matrix.shape[1]
    x = x.T if tall else x  # the smaller side first: the products are smaller
    for _ in range(group["ns_steps"]):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Muon(torch.optim.Muon):
    """torch's Muon, its state and options, multiplying in `dtype`."""

    def __init__(self, matrices: list[torch.Tensor], dtype: torch.dtype, **options):
        super().__init__(matrices, **options)
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for matrix in group["params"]:
                momentum = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonalized(matrix.grad.lerp(momentum, group["momentum"]), group, self.dtype)  # Nesterov's
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1, matrix.shape[0] / matrix.shape[1])))
