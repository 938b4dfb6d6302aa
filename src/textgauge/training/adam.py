"""Adam, in a few lines of tensor arithmetic.

Kingma and Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015), algorithm 1: the same sums
as `torch.optim.Adam`, which a test compares it with. Making the first optimizer of `torch.optim`
loads torch's compiler, 800 modules that nothing here uses, which takes longer than many trainings.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

BETA_1, BETA_2 = 0.9, 0.999
EPSILON = 1e-8


class Adam:
    """Moves parameters along the mean of their gradients, scaled by the gradients' size.

    Args:
        parameters: what to train, by name.
        lr: the learning rate.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], lr: float) -> None:
        self._parameters, self._lr, self._steps = dict(parameters), lr, 0
        self._mean = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self._square = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        self._steps += 1
        mean_bias = 1 - BETA_1**self._steps
        square_bias = 1 - BETA_2**self._steps
        for name, parameter in self._parameters.items():
            gradient = parameter.grad
            if gradient is None:
                continue
            mean = self._mean[name].lerp_(gradient, 1 - BETA_1)
            square = self._square[name].mul_(BETA_2)
            square.addcmul_(gradient, gradient, value=1 - BETA_2)
            size = (square.sqrt() / square_bias**0.5).add_(EPSILON)
            parameter.addcdiv_(mean, size, value=-self._lr / mean_bias)

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
