"""The optimizer of the hidden matrices: momentum whose singular values are all made about 1.

Muon (Jordan et al., 2024), with the step scaled by 0.2 sqrt(longer side) so that it suits AdamW's learning rates and
weight decay (Liu et al., "Muon is scalable for LLM training", 2025). torch.optim.Muon does the same in bfloat16, one
matrix after another: slow on processors without bfloat16 products. Here matrices of one shape go together, in float32.
"""
from collections import defaultdict

import torch

# Coefficients of the quintic iteration that drives singular values towards 1, from the same source.
A, B, C, ITERATIONS = 3.4445, -4.7750, 2.0315, 5


def orthogonalized(updates: torch.Tensor) -> torch.Tensor:
    """[matrices, rows, columns] -> the same with singular values of about 1."""
    is_tall = updates.shape[1] > updates.shape[2]
    x = updates.mT if is_tall else updates
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x.mT if is_tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, matrices: list, lr: float, momentum: float = 0.95, weight_decay: float = 0.05):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[matrix.shape].append(matrix)
            for shape, matrices in shapes.items():
                updates = []
                for matrix in matrices:
                    state = self.state[matrix]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(matrix)
                    state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                    updates.append(matrix.grad.lerp(state["momentum"], group["momentum"]))
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                for matrix, update in zip(matrices, orthogonalized(torch.stack(updates))):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=scale)
