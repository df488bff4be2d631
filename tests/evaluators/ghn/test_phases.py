from __future__ import annotations

import torch

from archsearch.evaluators.ghn.phases import PhaseWeights, Schedule, run_phases


def test_the_written_out_derivative_is_that_of_differences() -> None:
    candidates, nodes, width, kinds = 2, 3, 2, 2
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    weights = PhaseWeights(
        input_weight=drawn(3 * width, kinds * (width + 1)),
        input_bias=drawn(3 * width),
        state_weight=drawn(3 * width, width),
        state_bias=drawn(3 * width),
        message_weight=drawn(kinds * width, width),
        message_bias=drawn(kinds * width),
    )
    reads = tuple((torch.rand((nodes, kinds, candidates, nodes), generator=generator) < 0.5).double() for _ in range(2))
    schedule = Schedule([(0, False), (1, False), (2, False), (1, True), (0, True)], (reads[0], reads[1]), None)
    states = drawn(candidates, nodes, width)
    assert torch.autograd.gradcheck(lambda states, *each: run_phases(states, PhaseWeights(*each), schedule), (states, *weights))
    with torch.inference_mode():
        assert torch.allclose(run_phases(states, weights, schedule), run_phases(states.detach(), weights, schedule))
