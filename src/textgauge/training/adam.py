"""Adam, in a few lines of tensor arithmetic.

Kingma and Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015), algorithm 1: the same sums
as `torch.optim.Adam`, which a test compares it with. Making the first optimizer of `torch.optim`
loads torch's compiler, 800 modules that nothing here uses, which takes longer than many trainings.

Where a gradient is sparse (of a table of which a batch uses few rows), only those rows and their
moments are touched, as `torch.optim.SparseAdam` does: a step costs what the batch has, not what the
table has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

BETA_1, BETA_2 = 0.9, 0.999
EPSILON = 1e-8


def shorten(parameters: Iterable[nn.Parameter], longest: float) -> None:
    """Scale all gradients down together, so that their common length is `longest` at most.

    As `torch.nn.utils.clip_grad_norm_`, for sparse gradients, too; those are coalesced.
    """
    found = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            found.append(parameter.grad.values())
        elif parameter.grad is not None:
            found.append(parameter.grad)
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in found]))
    scale = (longest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in found:
        gradient.mul_(scale)


class Adam:
    """Moves parameters along the mean of their gradients, scaled by the gradients' size.

    Args:
        parameters: what to train, by name.
        lr: the learning rate.
        pace: shares of it, by how the names of parameters begin; all others have the whole.

    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], lr: float, pace: Mapping[str, float] = {}
    ) -> None:
        self._parameters, self._steps = dict(parameters), 0
        self._lr = {
            name: lr * next((share for begin, share in pace.items() if name.startswith(begin)), 1.0)
            for name in parameters
        }
        self._mean = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self._square = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """Move every parameter that has a gradient, by this share of its learning rate."""
        self._steps += 1
        mean_bias = 1 - BETA_1**self._steps
        square_bias = 1 - BETA_2**self._steps
        for name, parameter in self._parameters.items():
            gradient = parameter.grad
            if gradient is None:
                continue
            mean, square = self._mean[name], self._square[name]
            rows = None
            if gradient.is_sparse:
                gradient = gradient.coalesce()
                rows, gradient = gradient.indices()[0], gradient.values()
                mean, square = mean[rows], square[rows]
            mean.lerp_(gradient, 1 - BETA_1)
            square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            size = (square.sqrt() / square_bias**0.5).add_(EPSILON)
            if rows is None:
                parameter.addcdiv_(mean, size, value=-share * self._lr[name] / mean_bias)
                continue
            self._mean[name][rows], self._square[name][rows] = mean, square
            parameter.index_add_(0, rows, mean / size, alpha=-share * self._lr[name] / mean_bias)

    def state(self) -> dict[str, Tensor]:
        """A copy, in the main memory, of all that the next step depends on but the parameters."""
        state = {"steps": torch.tensor(self._steps)}
        for name in self._parameters:
            state[f"{name}/mean"] = self._mean[name].to("cpu", copy=True)
            state[f"{name}/square"] = self._square[name].to("cpu", copy=True)
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self._steps = int(state["steps"])
        for name in self._parameters:
            self._mean[name].copy_(state[f"{name}/mean"])
            self._square[name].copy_(state[f"{name}/square"])
