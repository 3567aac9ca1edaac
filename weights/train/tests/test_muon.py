import pytest
import torch

from train.muon import MATCH, Muon, is_matrix, orthogonal
from train.nets import build


@pytest.mark.parametrize("shape", [(18, 162), (270, 96), (64, 64), (1, 40)])
def test_steps_are_near_the_orthogonal_factor(shape):
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape) * torch.tensor([1e-6, 1.0, 1e6]).view(3, 1, 1)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonal(matrices)
    assert found.shape == matrices.shape
    along = left.transpose(1, 2) @ found @ right.transpose(1, 2)  # the singular directions are kept ...
    values = along.diagonal(dim1=1, dim2=2)
    assert (along - torch.diag_embed(values)).abs().max() < 1e-2
    large = torch.linalg.svdvals(matrices) > 0.05 * torch.linalg.matrix_norm(matrices)[:, None]
    assert ((values > 0.6) & (values < 1.3))[large].all(), "... and the singular values brought to about 1"


def test_a_matrix_of_zeros_takes_no_step():
    assert not orthogonal(torch.zeros(2, 8, 16)).any()


def test_steps_are_as_large_as_those_of_adamw():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(64, 32, 3, 3))
    optimizer = Muon([{"params": [weight]}], lr=0.5)
    weight.grad = torch.randn_like(weight) * 1e-4
    optimizer.step()
    assert weight.detach().square().mean().sqrt() == pytest.approx(0.5 * MATCH, rel=0.25)
    assert (weight * weight.grad).sum() < 0, "downhill"


def test_what_is_a_matrix():
    shapes = {(18, 18, 3, 3): True, (270, 96): True, (64, 3, 3, 3): True, (64, 1, 3, 3): False, (64,): False,
              (1, 96, 1, 1): False, (16, 3, 1, 1): True}
    assert {shape: is_matrix(torch.empty(shape)) for shape in shapes} == shapes
    net = build("hrnet18s-s1")
    taken = sum(p.numel() for p in net.parameters() if is_matrix(p))
    assert taken > 0.99 * sum(p.numel() for p in net.parameters())


def test_it_finds_a_least_squares_solution():
    torch.manual_seed(0)
    truth, data = torch.randn(8, 32), torch.randn(32, 256)
    weight = torch.nn.Parameter(torch.zeros(8, 32))
    optimizer = Muon([{"params": [weight]}], lr=0.05)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        optimizer.zero_grad()
        ((weight - truth) @ data).square().mean().backward()
        optimizer.step()
    assert (weight - truth).norm() < 0.1 * truth.norm()
