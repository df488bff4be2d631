"""Networks with a mixture of all operators at every place (H. Liu et al., ICLR 2019, arXiv 1806.09055, equation 2).

A mixture is found by comparing the networks that the space itself makes: for each place, those with each operator there. What
differs between them belongs to the place; where the steps that are the same read it, the weighted sum of the alternatives
is read instead. So the operators have the same definition, the same names and the same weights as in a single path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.evaluators.supernet.places import Places
from archsearch.evaluators.supernet.shared_weights import Key, Reads, reads_of, tensors_of
from archsearch.spaces import SearchSpace
from archsearch.spaces.operators import Operator, Shape, Sum
from archsearch.spaces.plan import Plan

StepId = tuple[str, int]
"""Name of a step, and how many steps of this name are before it."""


@dataclass(frozen=True, eq=False)
class Application:
    """An operator that is applied.

    Args:
        operator: The operator.
        inputs: Slots that it reads.
        reads: What it reads of the shared weights; None for an operator without parameters.
    """

    operator: Operator
    inputs: tuple[int, ...]
    reads: Reads | None


@dataclass(frozen=True)
class Mix:
    """A weighted sum: `sum over k of p_k * x_k`, p the probabilities of a gene.

    Args:
        gene: Position of the gene.
        terms: Alternative k and the slot of `x_k`; alternatives that add nothing are left out.
    """

    gene: int
    terms: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class MixedPlan:
    """A network with a mixture at each place, for one wiring.

    Args:
        steps: Its steps in order; step i writes slot i + 1, slot 0 holds the images.
        outputs: Slots of the logits, one per exit.
    """

    steps: tuple[Application | Mix, ...]
    outputs: tuple[int, ...]

    @property
    def reads(self) -> list[Reads]:
        """What its operators read of the shared weights."""
        return [step.reads for step in self.steps if isinstance(step, Application) and step.reads is not None]

    def apply(self, images: Tensor, values: Mapping[Key, Tensor], probabilities: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Execute the network, normalised by the statistics of the batch.

        Args:
            images: `[batch, channels, height, width]`.
            values: The shared weights.
            probabilities: For each gene of the space the weights of its alternatives, `[alternatives]`.

        Returns:
            The logits `[batch, classes]` of each exit.
        """
        slots = [images]
        for step in self.steps:
            if isinstance(step, Mix):
                total = None
                for alternative, slot in step.terms:
                    term = probabilities[step.gene][alternative] * slots[slot]
                    total = term if total is None else total + term
                assert total is not None
                slots.append(total)
            else:
                parameters = () if step.reads is None else tensors_of(values, step.reads)
                slots.append(step.operator.apply([slots[slot] for slot in step.inputs], parameters, (), True))
        return tuple(slots[slot] for slot in self.outputs)

    def shapes(self, input_shape: Shape) -> list[Shape]:
        """Return the shape of every slot for an input of shape `(channels, height, width)`."""
        shapes = [tuple(input_shape)]
        for step in self.steps:
            if isinstance(step, Mix):
                shapes.append(shapes[step.terms[0][1]])
            else:
                shapes.append(step.operator.output_shape(*(shapes[slot] for slot in step.inputs)))
        return shapes


def mixed_plan(space: SearchSpace, places: Places, wiring: Sequence[int], plan_of: Callable[[Sequence[int]], Plan]) -> MixedPlan:
    """Return the network with a mixture at each place.

    Args:
        space: The space.
        places: Its places.
        wiring: A genotype, of which the genes that are no places count.
        plan_of: Returns the network of a genotype.

    Raises:
        ConfigurationError: The networks differ by more than the operators of their places.
    """
    return _Mixing(space, places, wiring, plan_of).mixed()


class _Steps:
    """A plan whose steps are found by their ids."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        seen: Counter[str] = Counter()
        self.ids: list[StepId] = []
        for step in plan.steps:
            self.ids.append((step.name, seen[step.name]))
            seen[step.name] += 1
        self.places = {each: at for at, each in enumerate(self.ids)}

    def id_of(self, slot: int) -> StepId | None:
        """Return the id of the step that wrote a slot; None for the images."""
        return None if slot == 0 else self.ids[slot - 1]

    def inputs(self, step: StepId) -> tuple[int, ...]:
        return self.plan.steps[self.places[step]].inputs

    def operator(self, step: StepId) -> Operator:
        return self.plan.steps[self.places[step]].operator


@dataclass(eq=False)
class _Place:
    """A place while its alternatives are compared.

    Args:
        gene: Position of its gene.
        base: Alternative in the base network.
        variants: The network with each alternative that is another network of steps; those that add nothing are left out.
        core: Steps of the base network that the operator decides.
        exits: For each step of the core that others read, the slot of each alternative, of its own network.
    """

    gene: int
    base: int
    variants: dict[int, _Steps] = field(default_factory=dict)
    core: set[StepId] = field(default_factory=set)
    exits: dict[StepId, dict[int, int]] = field(default_factory=dict)


class _Mixing:
    """Compares the networks of a wiring and puts the mixed one together."""

    def __init__(
        self, space: SearchSpace, places: Places, wiring: Sequence[int], plan_of: Callable[[Sequence[int]], Plan]
    ) -> None:
        self.space, self.places, self.plan_of = space, places, plan_of
        self.genotype = list(wiring)
        most = max(places.sizes[gene] for gene in places.operators)
        uniform = [self._with({gene: min(each, places.sizes[gene] - 1) for gene in places.operators}) for each in range(most)]
        steps = [len(self.plan_of(each).live_steps) for each in uniform]
        self.genotype = uniform[steps.index(max(steps))]
        self.base = _Steps(self.plan_of(self.genotype))
        self.found = [self._place(gene) for gene in places.operators]
        self.owner: dict[StepId, _Place] = {}
        for place in self.found:
            for step in place.core:
                if step in self.owner:
                    raise self._refused(f"the step {step[0]!r} depends on two places")
                self.owner[step] = place

    def mixed(self) -> MixedPlan:
        for place in self.found:
            for number, variant in ((place.base, self.base), *place.variants.items()):
                self._exits(place, number, variant)
        self._steps: list[Application | Mix] = []
        self._slots: dict[tuple[int, int, int], int] = {}  # slot by gene, alternative (-1 for the base) and slot of the network
        self._mixes: dict[StepId, int] = {}
        self._reads: dict[tuple[int, int], dict[str, Reads]] = {}
        outputs = tuple(self._slot_of_base(slot) for slot in self.base.plan.outputs)
        return MixedPlan(tuple(self._steps), outputs)

    def _with(self, genes: Mapping[int, int]) -> list[int]:
        changed = list(self.genotype)
        for gene, value in genes.items():
            changed[gene] = value
        return changed

    def _refused(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"space: expected networks in which another operator at a place changes that place alone; in {self.space!r} {why}. "
            "Name the steps of a place after the place, or take enas, which trains single paths."
        )

    def _place(self, gene: int) -> _Place:
        """Compare the networks with each operator at a place."""
        place, base = _Place(gene, self.genotype[gene]), self.base
        nothing: set[StepId] = set()
        for number in range(self.places.sizes[gene]):
            if number == place.base:
                continue
            variant = _Steps(self.plan_of(self._with({gene: number})))
            common = [each for each in base.ids if each in variant.places]
            differing = {each for each in common if base.operator(each) != variant.operator(each)}
            missing = set(base.ids) - variant.places.keys()
            if missing and not differing and variant.places.keys() <= base.places.keys():
                nothing |= {each for each in missing if not isinstance(base.operator(each), Sum)}
            else:
                place.variants[number] = variant
                place.core |= differing | missing
        place.core = place.core or nothing
        return place

    def _exits(self, place: _Place, number: int, variant: _Steps) -> None:
        """Note which slots of an alternative's network take the place of the core's."""
        for step in self.base.ids:
            if step in place.core:
                continue
            own = self.base.inputs(step)
            if not any(self.base.id_of(slot) in place.core for slot in own):
                continue
            if step not in variant.places or len(variant.inputs(step)) != len(own):
                raise self._refused(
                    f"the step {step[0]!r} is another one with another operator at {self.places.names[place.gene]}"
                )
            for slot, other in zip(own, variant.inputs(step), strict=True):
                self._exit(place, number, slot, other)
        for slot, other in zip(self.base.plan.outputs, variant.plan.outputs, strict=True):
            if self.base.id_of(slot) in place.core:
                self._exit(place, number, slot, other)

    def _exit(self, place: _Place, number: int, slot: int, other: int) -> None:
        step = self.base.id_of(slot)
        if step is not None and step in place.core:
            known = place.exits.setdefault(step, {}).setdefault(number, other)
            if known != other:
                raise self._refused(f"{step[0]!r} is read in several ways")

    def _slot_of_base(self, slot: int) -> int:
        """Return the slot of the mixed network that holds what a slot of the base network does."""
        step = self.base.id_of(slot)
        if step is not None and step in self.owner:
            return self._mix(self.owner[step], step)
        return self._applied(-1, -1, self.base, slot)

    def _mix(self, place: _Place, step: StepId) -> int:
        if step not in self._mixes:
            terms = []
            for number, slot in sorted(place.exits[step].items()):
                steps = self.base if number == place.base else place.variants[number]
                terms.append((number, self._applied(place.gene, number, steps, slot)))
            self._steps.append(Mix(place.gene, tuple(terms)))
            self._mixes[step] = len(self._steps)
        return self._mixes[step]

    def _applied(self, gene: int, number: int, steps: _Steps, slot: int) -> int:
        """Return the slot of the mixed network for a slot of one network: within a place its own, elsewhere that of the base."""
        step = steps.id_of(slot)
        if step is None:
            return 0
        if gene >= 0:
            place = next(each for each in self.found if each.gene == gene)
            if step not in place.core and step in self.base.places:
                return self._slot_of_base(self.base.places[step] + 1)
        key = (gene, number, slot)
        if key not in self._slots:
            inputs = tuple(
                self._slot_of_base(each) if gene < 0 else self._applied(gene, number, steps, each) for each in steps.inputs(step)
            )
            if (gene, number) not in self._reads:
                self._reads[gene, number] = reads_of(steps.plan)
            self._steps.append(Application(steps.operator(step), inputs, self._reads[gene, number].get(step[0])))
            self._slots[key] = len(self._steps)
        return self._slots[key]
