"""Muon (Jordan et al., 2024): momentum whose every matrix is made orthogonal before it is a step, for kernels and
matrices; AdamW for the rest."""

import torch

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the odd polynomial that takes singular values to about 1
ROUNDS = 5
MATCH = 0.2  # root mean square of an AdamW step in units of its rate (Liu et al., 2025, "Muon is scalable", eq. 4)


def orthogonal(matrices):
    """(N, R, C) -> the nearest matrices with singular values of about 1 (0.7 to 1.2), by Newton-Schulz rounds."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


def is_matrix(parameter):
    """Matrices, and kernels that mix channels (not depthwise ones), of more than one row."""
    return parameter.ndim > 1 and min(parameter.shape[:2]) > 1


class Muon(torch.optim.Optimizer):
    """Groups hold ``params`` of two dimensions or more, ``lr`` and ``weight_decay``; a kernel (O, I, H, W) is the
    matrix (O, I * H * W). Steps are as large as AdamW's at the same rate."""

    def __init__(self, groups, lr):
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self.found_inf = torch.zeros(())  # 1: the gradients are broken, parameters and momentum stay

    @torch.no_grad()
    def step(self):
        whole = 1 - self.found_inf
        for group in self.param_groups:
            alike = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault((len(parameter), parameter[0].numel()), []).append(parameter)
            for (rows, columns), parameters in alike.items():
                steps = orthogonal(torch.stack([self.momentum(p).reshape(rows, columns) for p in parameters]))
                steps = steps * (MATCH * max(rows, columns) ** 0.5)
                for parameter, step in zip(parameters, steps):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"] * whole)
                    parameter.sub_(group["lr"] * step.view(parameter.shape) * whole)

    def momentum(self, parameter):
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = torch.where(self.found_inf > 0, state["momentum"], parameter.grad)
        state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(state["momentum"], MOMENTUM)
