from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.ngae.generation import generate
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs, to_batch
from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.settings import Settings
from archsearch.spaces import SearchSpace
from examples.own_space import Feedforward

Make = Callable[..., tuple[GraphVAE, Grammar, Graphs]]
SPACES: list[SearchSpace] = [*(spaces.get(name) for name in spaces.names()), Feedforward()]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_every_graph_is_valid_whatever_the_weights(space: SearchSpace, made: Make, small: Settings) -> None:
    model, grammar, _ = made(space, small, 2)
    generator = torch.Generator().manual_seed(0)
    latents = 3 * torch.randn(150, small.latent, generator=generator, dtype=torch.float64)
    for source in (generator, None):
        batch = to_batch(generate(model.decoder, grammar, latents, source), space.vocabulary)
        architectures = space.decode(batch)
        assert all(space.parse(str(architecture)) == architecture for architecture in architectures)
        if source is not None:
            assert len(set(map(str, architectures))) > 60


@pytest.mark.parametrize("name", ["enas", "nasbench101", "nasnet"])
def test_a_batch_equals_its_rows(name: str, made: Make, small: Settings) -> None:
    model, grammar, _ = made(spaces.get(name), small, 2)
    latents = torch.randn(12, small.latent, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = generate(model.decoder, grammar, latents)
    for row in range(12):
        alone = generate(model.decoder, grammar, latents[row : row + 1])
        assert torch.equal(whole.types[row], alone.types[0])
        assert torch.equal(whole.edges[row], alone.edges[0])


def test_draws_follow_the_probabilities(made: Make, small: Settings) -> None:
    space = spaces.get("nasbench201")
    model, grammar, _ = made(space, small, 2)
    latent = torch.zeros(1, small.latent, dtype=torch.float64)
    drawn = generate(model.decoder, grammar, latent.expand(4000, -1), torch.Generator().manual_seed(0))
    texts, counts = torch.unique(drawn.types[:, 0, 1], return_counts=True)
    first = generate(model.decoder, grammar, latent)
    state = model.decoder.unit(first.types[:, :, 0], model.decoder.start(latent))
    chances = torch.softmax(model.decoder.types.logits(state[:, :, None], latent, [1])[0, 0, 0], dim=0)
    assert torch.allclose(counts.double() / 4000, chances[texts], atol=0.04)


def test_no_graph_breaks_the_budget_of_edges(made: Make, small: Settings) -> None:
    space = spaces.get("nasbench101")
    model, grammar, _ = made(space, small, 2)
    with torch.no_grad():
        model.decoder.edges.bias.add_(100.0)  # every edge is wanted
    graphs = generate(model.decoder, grammar, torch.randn(50, small.latent, dtype=torch.float64))
    assert graphs.edges.sum(dim=(1, 2, 3)).max() == 9
    assert len(space.decode(to_batch(graphs, space.vocabulary))) == 50
