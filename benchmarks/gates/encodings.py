"""Ways to encode and to learn that others publish, each alone against the default of GATES on the same subsets.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.encodings     # about an hour on one core

The folder holds nasbench101.parquet and nasbench201.parquet. Rows to learn from and to check on are those of
gates/extras.py, from the training pool, subsets 100 and up; targets are those of gates/kendall.py.

- Graph features (GRAF; G. Kadlecová et al., ICML 2024, arXiv 2404.16551), standardised by the rows to learn from, as an input of
  the head beside the encoder's vector, in place of the counted structure there, or alone.
- Messages both ways: a second encoder with weights of its own reads the graph with all edges turned round, or each layer passes
  messages along the edges and against them (R. Xu et al., "NN-Former", CVPR 2025, arXiv 2507.00880, of which this is one part).
- Pre-training by flows (S. Kim et al., "Learning to Flow from Generative Pretext Tasks for Neural Architecture Encoding", NeurIPS
  2025, arXiv 2510.18360): the encoder learns from 2,000 architectures without scores to tell what a random vector becomes that
  flows once from the input to the output and back. Written from the paper's abstract: the random maps are our own choice.
- A loss that turns from the whole order to the top (H. Ji et al., "Loss Functions for Predictor-based Neural Architecture
  Search", ICCV 2025, arXiv 2506.05869): all pairs for the first half of the epochs, or for none of them, and then pairs weighted
  by exp(4 r), r being the rank of the better one from 0 to 1.
- Smaller heads, which cost less than the five layers of 300 that the paper has for NAS-Bench-201.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archsearch.evaluators import metrics
from archsearch.evaluators.predictors import losses
from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.encoders.gates_edge import EdgeGATES
from archsearch.evaluators.predictors.encoders.gates_node import NodeGATES
from archsearch.evaluators.predictors.features import features_of
from archsearch.evaluators.predictors.form import NONE, Form
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.predictors.model import Batch, ScoringModel
from archsearch.evaluators.predictors.population import Population
from archsearch.evaluators.predictors.settings import Settings, settings_of
from archsearch.evaluators.predictors.stacked import Generators, Linear, marked, normal, times, uniform
from archsearch.evaluators.predictors.structure import Structured, structure
from archsearch.evaluators.predictors.trained import Trained
from archsearch.evaluators.predictors.training import train
from archsearch.spaces import GraphBatch
from archsearch.spaces.graph import INPUT, OUTPUT
from benchmarks.frame import Rows, Script, average, table
from benchmarks.gates.extras import Split, Vector
from benchmarks.gates.kendall import load

SIZES = (("nasbench201", 78), ("nasbench101", 190), ("nasbench201", 390))
SMALL = 200  # up to here there are six subsets, above three
FIRST = 100
FLOW, FLOW_BATCH = 64, 250  # numbers of a flow, and graphs that are learned at once
TOP = 4.0


def base(form: Form) -> type[Encoder]:
    """Return the GATES of a space."""
    return EdgeGATES if form.width else NodeGATES


def turned(batch: GraphBatch) -> GraphBatch:
    """Return graphs of one input with all edges turned round: the output is the input."""
    start, end = batch.vocabulary.index(INPUT), batch.vocabulary.index(OUTPUT)
    operators = batch.operators.copy()
    operators[batch.operators == start], operators[batch.operators == end] = end, start
    edges = None if batch.edges is None else np.ascontiguousarray(batch.edges[..., ::-1, ::-1].swapaxes(-1, -2))
    return GraphBatch(batch.vocabulary, operators, np.ascontiguousarray(batch.adjacency.swapaxes(-1, -2)), edges)


class BothWays(Encoder):
    """Two encoders, of which the second reads the graphs turned round."""

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.along, self.against = (base(form)(form, settings, generators) for _ in range(2))
        self.features = 2 * self.along.features

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        return *base(form).tensors(batch, form), *base(form).tensors(turned(batch), form)

    def precompute(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        parts = [part.precompute(*half) for part, half in zip((self.along, self.against), halves(tensors), strict=True)]
        return *parts[0], *parts[1]

    def forward(self, *precomputed: Tensor) -> Tensor:
        first, second = halves(precomputed)
        return torch.cat([self.along(*first), self.against(*second)], dim=2)


def halves(tensors: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the first half of some tensors, and the second."""
    return tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]


class EachLayerBothWays(Encoder):
    """GATES on nodes whose layers pass messages along the edges and against them, with gates and weights for each direction.

    Operators on edges are read in the form with operators on nodes. The vector is the mean over all nodes but the input.
    """

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.count, self.features = len(form.vocabulary), settings.width
        self.start = normal(generators, (self.count, settings.hidden), 0.3)
        self.operators = normal(generators, (self.count, settings.embedding))
        sizes = [settings.hidden, *[settings.width] * settings.layers]
        pairs = list(pairwise(sizes))
        self.gates = nn.ModuleList(Linear(settings.embedding, 2 * width, generators) for _, width in pairs)
        self.weights = nn.ParameterList(uniform(generators, (wide, 2 * width), width**-0.5) for wide, width in pairs)

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        return torch.tensor(batch.operators[:, 0]), torch.tensor(np.ascontiguousarray(batch.adjacency[:, 0]))

    def forward(self, *tensors: Tensor) -> Tensor:
        operators, edges = tensors[0].long(), tensors[1].float()
        kinds = marked(torch.where(operators < 0, self.count, operators), self.count, edges.dtype)
        into = edges.transpose(2, 3) + torch.eye(edges.shape[-1])
        back = edges + torch.eye(edges.shape[-1])
        states = torch.matmul(kinds, self.start.unsqueeze(1))
        for number, (gate, weight) in enumerate(zip(self.gates, self.weights, strict=True)):
            along, against = times(states, weight).chunk(2, dim=3)
            open_along, open_against = torch.matmul(kinds, gate(self.operators).sigmoid().unsqueeze(1)).chunk(2, dim=3)
            states = open_along * torch.matmul(into, along) + open_against * torch.matmul(back, against)
            if number + 1 < len(self.weights):
                states = states.relu()
        others = (operators > 0).to(states.dtype).unsqueeze(3)
        return (states * others).sum(2) / (operators.shape[2] - 1)


def beside(inner: type[Encoder] | None, numbers: int) -> type[Encoder]:
    """Return an encoder whose vectors are followed by the last tensor; None has these numbers alone."""

    class Beside(Encoder):
        def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
            super().__init__()
            self.inner = None if inner is None else inner(form, settings, generators)
            self.features = numbers + (0 if self.inner is None else self.inner.features)

        @staticmethod
        def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
            return () if inner is None else inner.tensors(batch, form)

        def precompute(self, *tensors: Tensor) -> tuple[Tensor, ...]:
            return *(() if self.inner is None else self.inner.precompute(*tensors[:-1])), tensors[-1]

        def forward(self, *precomputed: Tensor) -> Tensor:
            own = [] if self.inner is None else [self.inner(*precomputed[:-1])]
            return torch.cat([*own, precomputed[-1]], dim=2)

    return Beside


class Case:
    """A subset of a table, with graphs in their canonical form."""

    def __init__(self, name: str, size: int, subset: int) -> None:
        self.split = Split(name, tables(name), size, subset)
        space, data = self.split.data.space, self.split.data
        self.rows = np.concatenate([self.split.learned, self.split.checked, self.split.others])
        self.size = size
        self.graphs = space.canonical_graphs(data.batch[self.rows])
        self.form = Form.of(self.graphs, space.num_inputs)
        self.truth = data.scores[self.split.checked]

    def population(self, encoder: type[Encoder], structured: bool, *others: Tensor) -> Population:
        """Return all rows for an encoder, with more tensors after its own."""
        tensors = (*encoder.tensors(self.graphs, self.form), *others, *([structure(self.graphs)] if structured else []))
        return Population(encoder, self.form, tensors, structured)

    def features(self, scale: float) -> Tensor:
        """Return graph features, standardised by the rows to learn from."""
        found = features_of(self.split.data.space, self.split.data.batch[self.rows], "graf")
        known = found[: self.size]
        spread = known.std(axis=0)
        scaled = (found - known.mean(axis=0)) / np.where(spread > 0, spread, 1.0) * (spread > 0)
        return torch.tensor(scale * scaled.clip(-5, 5), dtype=torch.float32)

    def learn(
        self,
        encoder: type[Encoder],
        population: Population,
        before: Callable[[Trained, Population], None] | None = None,
        loss: Callable[..., Tensor] | None = None,
        **changes: Any,
    ) -> Vector:
        """Return the predictions for the rows to check on."""
        settings = replace(settings_of("default", self.form), structure=population.structured, features=False)
        if self.form.width:
            settings = replace(settings, head=(300,) * 5)  # as in the version that the rows are measured with
        settings = replace(settings, **changes)
        trained = Trained(encoder, self.form, "hinge", settings, self.split.seed, 1, torch.device("cpu"))
        if before:
            before(trained, population)
        known = population[: self.size]
        scores = self.split.data.scores[self.split.learned]
        targets = torch.tensor(np.unique(scores, return_inverse=True)[1], dtype=torch.float32)
        if loss:
            trained.model.loss = loss(trained.model, targets, settings.epochs)  # type: ignore[method-assign]
        train(
            trained.model,
            trained.parameters,
            trained.optimizer,
            known.tensors,
            targets,
            trained.generators,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
        )
        trained.settle(known)
        return np.asarray(trained.scores(population[self.size : self.size + len(self.truth)])[0])


def plain(case: Case, **changes: Any) -> Vector:
    encoder = base(case.form)
    return case.learn(encoder, case.population(encoder, True), **changes)


def with_features(
    case: Case,
    scale: float = 1.0,
    structured: bool = True,
    alone: bool = False,
    inner: type[Encoder] | None = None,
    **changes: Any,
) -> Vector:
    features = case.features(scale)
    encoder = beside(None if alone else inner or base(case.form), features.shape[1])
    return case.learn(encoder, case.population(encoder, structured, features), **changes)


def both_ways(case: Case, encoder: type[Encoder]) -> Vector:
    return case.learn(encoder, case.population(encoder, True))


def weighted_to_top(case: Case, after: float) -> Vector:
    """Pairs weighted to the top after a share of the epochs."""

    def weighted(model: ScoringModel, targets: Tensor, epochs: int) -> Callable[[Batch], Tensor]:
        ranks = targets / targets.max()
        steps = [0]

        def loss(batch: Batch) -> Tensor:
            steps[0] += 1
            assert batch.pairs
            scores = model.head(model.encoder(*batch.precomputed))
            worse, better, weights = batch.pairs.draw(model.generators)
            if steps[0] > after * epochs:
                weights = weights * (TOP * ranks[better]).exp()
                weights = weights / weights.sum(1, keepdim=True)
            return losses.hinge(scores.gather(1, better) - scores.gather(1, worse), weights, model.settings.margin)

        return loss

    encoder = base(case.form)
    return case.learn(encoder, case.population(encoder, True), loss=weighted)


def flows(graphs: GraphBatch, seed: int, mixed: bool) -> Tensor:
    """Return what a random vector becomes at the output, and what that becomes on its way back, `[graphs, 2 * FLOW]`.

    Along the edges a node has `f_v = m_o(sum of f_u)` with the random map m of its operator, and from the output on against them
    `b_v = n_o(sum of b_w) * f_v`. A map is tanh of a product with an orthogonal matrix, times 1.5, if `mixed`, and otherwise a
    product number by number. `none` passes nothing. Each number is standardised over the graphs.
    """
    generator = torch.Generator().manual_seed(seed)
    operators = torch.tensor(graphs.operators[:, 0]).long()
    edges = torch.tensor(np.ascontiguousarray(graphs.adjacency[:, 0])).float()
    count, nodes = len(graphs.vocabulary), operators.shape[1]
    matrices = torch.linalg.qr(torch.randn(2, count, FLOW, FLOW, generator=generator))[0] * 1.5
    factors = torch.rand(2, count, FLOW, generator=generator) + 0.3
    start = torch.randn(FLOW, generator=generator) if mixed else torch.ones(FLOW)
    passes = (operators >= 0).float()
    if NONE in graphs.vocabulary:
        passes *= operators != graphs.vocabulary.index(NONE)
    ahead, back = torch.zeros(2, len(graphs), nodes, FLOW)
    is_input, is_output = (operators == graphs.vocabulary.index(name) for name in (INPUT, OUTPUT))

    def moved(arriving: Tensor, node: int, way: int) -> Tensor:
        own = operators[:, node].clamp(min=0)
        if not mixed:
            return factors[way][own] * arriving * passes[:, node, None]
        return torch.tanh(torch.bmm(matrices[way][own], arriving.unsqueeze(2)).squeeze(2)) * passes[:, node, None]

    for node in range(nodes):
        arriving = torch.einsum("gu,guf->gf", edges[:, :, node], ahead)
        ahead[:, node] = torch.where(is_input[:, node, None], start, moved(arriving, node, 0))
    for node in reversed(range(nodes)):
        arriving = torch.einsum("gw,gwf->gf", edges[:, node], back)
        back[:, node] = torch.where(is_output[:, node, None], ahead[:, node], moved(arriving, node, 1) * ahead[:, node])
    found = torch.cat([(ahead * is_output.unsqueeze(2)).sum(1), (back * is_input.unsqueeze(2)).sum(1)], dim=1)
    if not mixed:
        found = found.log1p()
    return (found - found.mean(0)) / found.std(0).clamp(min=1e-3)


def pre_trained(case: Case, mixed: bool, epochs: int) -> Vector:
    """The encoder learns flows of the rows without scores first."""

    def before(trained: Trained, population: Population) -> None:
        unlabelled = slice(case.size + len(case.truth), None)
        tensors, targets = population[unlabelled].tensors[:-1], flows(case.graphs[unlabelled], case.split.seed, mixed)
        body = trained.model.encoder
        assert isinstance(body, Structured)
        encoder, generator = body.encoder, torch.Generator().manual_seed(case.split.seed)
        decoder = nn.Linear(encoder.features, targets.shape[1])
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(targets), generator=generator).split(FLOW_BATCH):
                vectors = encoder(*encoder.precompute(*(tensor[rows].unsqueeze(0) for tensor in tensors)))[0]
                loss = (decoder(vectors) - targets[rows]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    encoder = base(case.form)
    with torch.random.fork_rng():
        torch.manual_seed(case.split.seed)  # of the decoder
        return case.learn(encoder, case.population(encoder, True), before=before)


def with_process(case: Case, method: Callable[[Case], Vector]) -> Vector:
    """The mean of a method, counted twice, and a Gaussian process on graph features, as in `Fusion`."""
    split = case.split
    data = split.data
    process = GaussianProcess(data.space, split.seed).fit(data.batch[split.learned], data.scores[split.learned])
    return np.asarray((2 * method(case) + process.predict(data.batch[split.checked])) / 3)


METHODS: dict[str, Callable[[Case], Vector]] = {
    "default": plain,
    "features beside": with_features,
    "features beside, times .3": partial(with_features, scale=0.3),
    "features in place of the structure": partial(with_features, structured=False),
    "features beside, times .1": partial(with_features, scale=0.1),
    "features beside, times .3, head of 200, 200": partial(with_features, scale=0.3, head=(200, 200)),
    "features beside, times .3, head of 200, 200, each layer both ways": partial(
        with_features, scale=0.3, head=(200, 200), inner=EachLayerBothWays
    ),
    "features beside, times .3, head of 200, 200, and the process": partial(
        with_process, method=partial(with_features, scale=0.3, head=(200, 200))
    ),
    "default, and the process": partial(with_process, method=plain),
    "features beside, times .3, and the process": partial(with_process, method=partial(with_features, scale=0.3)),
    "head of 200, 200": partial(plain, head=(200, 200)),
    "head of 300, 300": partial(plain, head=(300, 300)),
    "head of 200": partial(plain, head=(200,)),
    "features alone": partial(with_features, structured=False, alone=True),
    "second encoder on turned graphs": partial(both_ways, encoder=BothWays),
    "each layer both ways": partial(both_ways, encoder=EachLayerBothWays),
    "top after half of the epochs": partial(weighted_to_top, after=0.5),
    "top from the first epoch on": partial(weighted_to_top, after=0.0),
    "pre-trained by flows": partial(pre_trained, mixed=True, epochs=100),
    "pre-trained by flows without matrices": partial(pre_trained, mixed=False, epochs=100),
    "pre-trained by flows without matrices, 20 epochs": partial(pre_trained, mixed=False, epochs=20),
}


@cache
def tables(name: str) -> Any:
    return load(name)


def run(rows: Rows, options: argparse.Namespace) -> None:
    """Measure what is not in the file yet, one subset after the other."""
    for name, size in SIZES:
        if name not in options.spaces or size not in options.sizes:
            continue
        for subset in range(options.first, FIRST + (options.subsets or (6 if size <= SMALL else 3))):
            case = cache(partial(Case, name, size, subset))

            def measured(method: str, case: Callable[[], Case] = case) -> dict[str, float]:
                predicted = METHODS[method](case())
                precision = metrics.precision_at_k(case().truth, predicted, 0.01)
                return {"tau": metrics.kendall_tau(case().truth, predicted), "precision": precision}

            for method in options.methods:
                rows.get(partial(measured, method), space=name, size=size, subset=subset, method=method)


def report(rows: Rows) -> None:
    """Print the table; differences to the default are those on the same subsets, with their 95 % intervals."""
    columns = ("", *(f"{name}, {size}: tau, difference; P@1 %, difference" for name, size in SIZES))
    table(columns, [[method, *(line(rows, name, size, method) for name, size in SIZES)] for method in METHODS])


def line(rows: Rows, name: str, size: int, method: str) -> str:
    """Return tau and the precision at 1 % of a method, each with the gain over the default."""
    base_rows = {row["subset"]: row for row in rows.select(space=name, size=size, method="default")}
    found = [row for row in rows.select(space=name, size=size, method=method) if row["subset"] in base_rows]
    parts = []
    for figure, digits in (("tau", 3), ("precision", 2)) if found else ():
        gains = [row[figure] - base_rows[row["subset"]][figure] for row in found]
        gain = f" {average(gains, digits, signed=True)}" if len(gains) > 1 and method != "default" else ""
        parts.append(f"{np.mean([row[figure] for row in found]):.{digits}f}{gain}")
    return "; ".join(parts)


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("spaces", nargs="*", default=["nasbench101", "nasbench201"], help="one of them, or both (the default)")
    script.argument("--methods", nargs="+", default=list(METHODS), help="only these")
    script.argument("--sizes", nargs="+", type=int, default=[size for _, size in SIZES], help="only these")
    script.argument("--subsets", type=int, default=0, help="number of subsets (default: six, three at 390)")
    script.argument("--first", type=int, default=FIRST, help=f"the first of them (default: {FIRST})")
    arguments = script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: run(rows, arguments), report)


if __name__ == "__main__":
    main()
