from __future__ import annotations

import pytest
import torch

from archsearch.evaluators.ghn.phases import PhaseWeights, Schedule, Update, run_phases


@pytest.mark.parametrize("padded", [False, True])
def test_the_written_out_derivative_is_that_of_differences(padded: bool) -> None:
    candidates, nodes, width, kinds = 2, 3, 2, 2
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    columns = kinds * (width + 1)
    weights = PhaseWeights(
        gate_weight=drawn(4 * width, columns + width),
        gate_bias=drawn(4 * width),
        passed_weight=drawn(4 * width, width),
        message_weight=drawn(kinds * width, width),
        message_bias=drawn(kinds * width),
    )
    reads = tuple((torch.rand((kinds, candidates, nodes, nodes), generator=generator) < 0.5).double() for _ in range(2))
    updates = [Update((0,), False), Update((2, 1), False), Update((1,), True), Update((0,), True)]
    keeps = (
        torch.ones((candidates, nodes, 1), dtype=torch.bool),
        torch.tensor([[True, True, False], [True, False, False]])[..., None],
    )
    sources = torch.tensor([[True, False, True], [False, False, True]])[..., None]
    schedule = Schedule(updates, sources, (reads[0], reads[1]), keeps if padded else None)
    states, passed = drawn(candidates, nodes, width), drawn(candidates, width)

    def run(states: torch.Tensor, passed: torch.Tensor, *each: torch.Tensor) -> torch.Tensor:
        return run_phases(states, passed, PhaseWeights(*each), schedule)

    assert torch.autograd.gradcheck(run, (states, passed, *weights))
    with torch.inference_mode():
        assert torch.allclose(run(states, passed, *weights), run(states.detach(), passed.detach(), *weights))
    assert torch.allclose(
        run(states, passed, *weights).detach(), run(states.detach(), passed.detach(), *(each.detach() for each in weights))
    )
