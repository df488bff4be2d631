"""A search space made of a function that builds a PyTorch module."""

from __future__ import annotations

import gc
import hashlib
import inspect
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import ArchitectureError, ConfigurationError, check_kind, did_you_mean, message_in_one_line, wrong_kind
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.builder import Builder
from archsearch.spaces.cost import Cost
from archsearch.spaces.graph import Graph, GraphBatch, pack
from archsearch.spaces.module.building import Build, Built, choices_text, run
from archsearch.spaces.module.canonical_trace import canonical_trace
from archsearch.spaces.module.choice_space import ChoiceSpace
from archsearch.spaces.module.choose import Choice
from archsearch.spaces.module.conditions import Answers, Conditions
from archsearch.spaces.module.discovery import Discovery
from archsearch.spaces.module.network import ModuleNetwork, ModuleOperator
from archsearch.spaces.module.source import module_source
from archsearch.spaces.module.surrogate_graph import GraphForm, graph_form
from archsearch.spaces.module.traced_source import traced_source
from archsearch.spaces.module.tracing import Trace, Untraceable, addmm_flops, called, on_meta, trace
from archsearch.spaces.module.variations import Variations
from archsearch.spaces.network import Network

_log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_TASK = ("num_classes", "in_channels")
_KEYS = 200_000
_REMEMBERED = 20_000
_TRIED = 8
_SAMPLED = 24
_STEPS_IN_A_STAGE = 120_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What is kept of a traced module.

    Args:
        form: Digest of its canonical form.
        cost: Its cost.
        output: Shape of its first output.
        steps: Number of its steps.
        graphs: Its graphs; None if they were not asked for.
    """

    form: bytes
    cost: Cost
    output: tuple[int, ...]
    steps: int
    graphs: list[Graph] | None

    @classmethod
    def of(cls, traced: Trace, graphs: list[Graph] | None) -> Facts:
        form = hashlib.blake2b(canonical_trace(traced), digest_size=16).digest()
        outputs = traced.nodes[-1].shapes
        return cls(form, Cost(traced.params, traced.macs), outputs[0] if outputs else (), len(traced.nodes), graphs)


class ModuleSpace(ChoiceSpace):
    """The modules that a function builds, with its choices.

    `build(choose)` returns a `torch.nn.Module` and asks `choose` wherever there is a choice; see `Choose`. The choices are found
    by running it. Everything else follows: the text of an architecture (`width=16 op=conv op.conv.kernel=3`), sampling, mutation,
    keys, costs, graphs for surrogates and trained networks.

    Two architectures have the same key if they compute the same as far as a traced run on the meta device tells: identity layers
    and steps that the output does not depend on vanish, and the order of sums does not count. Values of weights are not compared.
    A choice that the traced run never shows, such as a rate that only a training function reads, is a part of the key. If the
    module cannot be traced, its choices are the key, and the log says so once.

    `build` may take further arguments with whole numbers as defaults. `num_classes` and `in_channels` get those of the task, the
    others are settings of scale.

    Args:
        build: Function of a `Choose` that returns a module. For the same answers it must build the same.
        example_inputs: Inputs of the module, as a batch: a tensor, a tuple of positional arguments, or a dict of arguments by
            name.
        name: Name of the space; evaluations are stored under it. None takes the name of the function.

    Raises:
        ConfigurationError: An argument is wrong; `build` returns no module, asks for nothing, or depends on more than the
            answers.
        ArchitectureError: `build` raises an error; the message names the choices.

    Example:
        >>> import numpy as np, torch
        >>> from torch import nn
        >>> from archsearch.spaces import ModuleSpace
        >>> def perceptron(choose):
        ...     width = choose.one("width", [8, 16])
        ...     blocks = choose.repeat("depth", 1, 2, lambda i: nn.Sequential(nn.Linear(width, width), nn.ReLU()))
        ...     return nn.Sequential(nn.Linear(4, width), *blocks, nn.Linear(width, 2))
        >>> space = ModuleSpace(perceptron, torch.zeros(1, 4))
        >>> space.size, str(space.sample(np.random.default_rng(0)))
        (4, 'width=16 depth=2')
        >>> space.cost(space.parse("width=8 depth=1"))
        Cost(params=130, macs=130)
    """

    enumerable = 1000
    ranked_cells = 1  # the network: on NAS-Bench-201 the choices beside it cost GATES .07 of Kendall's tau at 78 cells

    def __init__(self, build: Build, example_inputs: Any, name: str | None = None) -> None:
        if not callable(build) or isinstance(build, nn.Module):
            raise ConfigurationError(wrong_kind("build", "a function of `choose` that returns a module", build))
        self.name = _name_of(build) if name is None else name  # type: ignore[misc]
        check_kind("name", self.name, str, "the name of the space")
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"name: expected letters, digits, _, - and .; got {self.name!r}.")
        self._arguments = _arguments_of(build)
        self._build = build
        self.example_inputs = example_inputs
        self._inputs = _checked_inputs(example_inputs)
        run(build, lambda choice: 0, self._defaults)
        self._prepare()

    @classmethod
    def around(
        cls,
        model: nn.Module,
        example_inputs: Any,
        *,
        part: str = "",
        widths: Sequence[float] = (0.5, 0.75, 1.0),
        kernels: Sequence[int] = (3, 5, 7),
        depths: bool = True,
        name: str | None = None,
    ) -> ModuleSpace:
        """Return the space of the networks like a given one, with other widths, fewer blocks and other kernels.

        Unchanged layers keep their weights, and others keep those that fit. What cannot vary is listed in `fixed`.

        Args:
            model: The network, such as a trained one of torchvision.
            example_inputs: Inputs of the model, as a batch.
            part: Path of the submodule that varies, such as `features`; empty for all.
            widths: Factors of the numbers of channels; `(1.0,)` keeps them.
            kernels: Sizes of the kernels of convolutions; empty keeps them.
            depths: Whether blocks that keep the shape of their input may be left out.
            name: Name of the space; None takes the name of the model's class.

        Raises:
            ConfigurationError: An argument is wrong, the model cannot be traced, or nothing can vary.

        Example:
            >>> import torch
            >>> from torch import nn
            >>> from archsearch.spaces import ModuleSpace
            >>> model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 1))
            >>> space = ModuleSpace.around(model, torch.zeros(1, 1, 8, 8), name="small")
            >>> dict(space.choices)
            {'width_0': (0.5, 0.75, 1.0), 'kernel_0': (3, 5, 7)}
        """
        return cls(Variations(model, example_inputs, part, widths, kernels, depths), example_inputs, name)

    @property
    def build_function(self) -> Build:
        """The function that builds the modules."""
        return self._build

    @property
    def fixed(self) -> tuple[str, ...]:
        """What a space made by `around` cannot vary, and why."""
        return tuple(getattr(self._build, "fixed", ()))

    def _prepare(self) -> None:
        """Create what is computed anew in each process."""
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._facts: OrderedDict[Any, Facts | None] = OrderedDict()
        self._said: set[str] = set()
        self._checked = False

    def __getstate__(self) -> dict[str, Any]:
        if not self._checked:
            _check_sent(self._build)
            self._checked = True
        state = {name: value for name, value in self.__dict__.items() if name not in ("_keys", "_facts", "_inputs")}
        return state | {"_conditions": self._conditions, "_hidden_choices": self._hidden_choices}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        said = self._said
        self._inputs = on_meta(self.example_inputs)
        self._prepare()
        self._said = said

    def __repr__(self) -> str:
        return f"ModuleSpace({getattr(self._build, '__qualname__', type(self._build).__name__)}, name={self.name!r})"

    @property
    def home(self) -> str:
        """Name of the Python module in which `build` is defined."""
        return str(getattr(self._build, "__module__", None) or type(self._build).__module__)

    # Modules

    @property
    def scale_defaults(self) -> Mapping[str, int]:  # type: ignore[override]
        """The arguments of `build` that are neither `choose` nor those of the task, with their defaults."""
        return {name: value for name, value in self._arguments.items() if name not in _TASK}

    @cached_property
    def _conditions(self) -> Conditions:
        return Discovery(self._build, self._defaults).conditions()

    @property
    def _defaults(self) -> dict[str, int]:
        return dict(self._arguments)

    def module(self, architecture: Architecture, generator: torch.Generator | None = None, **arguments: int) -> nn.Module:
        """Return the module of an architecture, with initial weights on the CPU.

        Args:
            architecture: An architecture of this space.
            generator: Random generator of the initial weights; None uses a new one with seed 0.
            **arguments: Further arguments of `build`.

        Raises:
            ArchitectureError: `build` raises an error; the message names the choices.
            ConfigurationError: `build` has no such argument.
        """
        return self._built(architecture, generator, self._checked_arguments(arguments)).module

    def _built(self, architecture: Architecture, generator: torch.Generator | None, arguments: Mapping[str, int]) -> Built:
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        seed = int(torch.randint(2**62, (1,), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._run(self._answers(architecture), arguments, weights=True)

    def _run(self, answers: Answers, arguments: Mapping[str, int], *, weights: bool = False) -> Built:
        unknown: list[Choice] = []

        def answer(choice: Choice) -> int:
            if choice.name not in answers:
                unknown.append(choice)
            return min(answers.get(choice.name, 0), len(choice.words) - 1)

        built = run(self._build, answer, arguments, weights=weights)
        if unknown:
            self._say(
                "unknown choice",
                f"{self.name}: build asks for {unknown[0].name!r} with {choices_text(built.asked)!r}, which did not show in the "
                "runs that looked for choices. It gets its first alternative there. Ask for it in an alternative of "
                "choose.layer or in an item of choose.repeat, or always.",
            )
        return built

    def _checked_arguments(self, arguments: Mapping[str, int]) -> dict[str, int]:
        for name in arguments:
            if name not in self._arguments:
                known = ", ".join(self._arguments) or "none"
                raise ConfigurationError(
                    f"{name}: build of {self.name} has no such argument.{did_you_mean(name, self._arguments)} "
                    f"Its arguments: {known}."
                )
        return {**self._arguments, **arguments}

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        """Add the whole module as one operator."""
        return build.add(ModuleNetwork.name, self._operator(architecture, num_classes, build.in_channels, scale), build.input)

    def build(
        self,
        architecture: Architecture,
        num_classes: int | None = None,
        in_channels: int | None = None,
        generator: torch.Generator | None = None,
        **scale: int,
    ) -> Network:
        """Return the module of an architecture as a network, with initial weights on the CPU; see `SearchSpace.build`.

        Without `num_classes` and `in_channels` the function has its own defaults.
        """
        classes, channels = (
            self._arguments.get(name, usual) if given is None else given
            for name, given, usual in (("num_classes", num_classes, 10), ("in_channels", in_channels, 3))
        )
        operator = self._operator(architecture, classes, channels, self.checked_scale(scale))
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        return ModuleNetwork(operator, channels, operator.make(generator))

    def _operator(
        self, architecture: Architecture, num_classes: int, in_channels: int, scale: Mapping[str, int]
    ) -> ModuleOperator:
        given = {"num_classes": num_classes, "in_channels": in_channels, **scale}
        arguments = tuple((name, given.get(name, value)) for name, value in self._arguments.items())
        text = self._own(architecture).text
        return ModuleOperator(
            f"{text} {dict(arguments)}",
            make=partial(self._made, text, arguments),
            output=partial(self._output_shape, text, arguments),
            count=partial(self._macs_of_image, text, arguments),
            source=partial(self._source, text, arguments),
        )

    def _made(self, text: str, arguments: tuple[tuple[str, int], ...], generator: torch.Generator | None) -> nn.Module:
        architecture = Architecture(self.name, text, ())
        if generator is None:
            return self._run(self._answers(architecture), dict(arguments)).module
        return self._built(architecture, generator, dict(arguments)).module

    def _source(self, text: str, arguments: tuple[tuple[str, int], ...], title: str, extra: str) -> str:
        if isinstance(self._build, Variations):
            return traced_source(self._made(text, arguments, torch.Generator()), title, extra)
        words = dict(part.split("=", 1) for part in text.split(" "))
        return module_source(self._build, words, dict(arguments), title, extra)

    def _output_shape(self, text: str, arguments: tuple[tuple[str, int], ...], shape: tuple[int, ...]) -> tuple[int, ...]:
        answers = self._answers(Architecture(self.name, text, ()))
        found = self._found(answers, dict(arguments), torch.empty((1, *shape), device="meta")) if self._can_trace else None
        if found is not None:
            return found.output[1:]
        return tuple(self._ran(answers, dict(arguments), torch.zeros((1, *shape)))[0].shape[1:])

    def _macs_of_image(self, text: str, arguments: tuple[tuple[str, int], ...], shape: tuple[int, ...]) -> int:
        images = torch.empty((1, *shape), device="meta")
        return self._counted(self._answers(Architecture(self.name, text, ())), dict(arguments), images).macs

    @property
    def most_in_a_stage(self) -> int:  # type: ignore[override]
        """How many new architectures a stage of a search may trace; a step of a network takes about a tenth of a millisecond."""
        found = self._found(self._conditions.answered(lambda choice: len(choice.words) - 1)) if self._can_trace else None
        return super().most_in_a_stage if found is None else _STEPS_IN_A_STAGE // found.steps

    # Costs

    def cost(
        self,
        architecture: Architecture,
        input_shape: tuple[int, ...] | None = None,
        num_classes: int | None = None,
        **scale: int,
    ) -> Cost:
        """Return the number of trainable parameters, and the multiply-accumulates of one forward pass.

        They are counted by `torch.utils.flop_counter`, and a linear layer with its bias, as everywhere in this package.

        Args:
            architecture: An architecture of this space.
            input_shape: Shape `(channels, height, width)` of one image; None counts for the example inputs, as they are.
            num_classes: Number of classes, if `build` takes it; None is its default.
            **scale: Further arguments of `build`.

        Raises:
            ArchitectureError: The module cannot run on these inputs; the message names the choices.
        """
        given = {**self.checked_scale(scale)}
        if num_classes is not None:
            given["num_classes"] = num_classes
        if input_shape is not None:
            given["in_channels"] = input_shape[0]
        arguments = {name: given.get(name, value) for name, value in self._arguments.items()}
        inputs = None if input_shape is None else torch.empty((1, *input_shape), device="meta")
        return self._counted(self._answers(architecture), arguments, inputs)

    def _counted(self, answers: Answers, arguments: Mapping[str, int], inputs: Any) -> Cost:
        known = self._found(answers, arguments, inputs) if self._can_trace else None
        if known is not None:
            return known.cost
        _, found = self._ran(answers, arguments, self.example_inputs if inputs is None else torch.zeros(inputs.shape))
        return found

    def _ran(self, answers: Answers, arguments: Mapping[str, int], inputs: Any) -> tuple[Any, Cost]:
        """Run a module that cannot be traced, and return its output and its cost."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            module = self._run(answers, arguments, weights=True).module.eval()
            try:
                with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm: addmm_flops}) as counter:
                    outputs = called(module, inputs)
            except Exception as error:
                raise self._cannot_run(answers, error) from error
        params = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        return outputs, Cost(params, int(counter.get_total_flops()) // 2)

    def _cannot_run(self, answers: Answers, error: Exception) -> ArchitectureError:
        return ArchitectureError(
            f"example_inputs: the module of {self._architecture(answers).text!r} cannot run on them "
            f"({type(error).__name__}: {message_in_one_line(error, 300)}). Each combination of choices must give a module that "
            "runs."
        )

    # Graphs

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self._form.vocabulary

    @property
    def operators(self) -> tuple[str, ...]:  # type: ignore[override]
        """Labels of the graph form, without input and output."""
        return self._form.vocabulary[2:]

    @cached_property
    def _form(self) -> GraphForm:
        traces = []
        if self._can_trace:
            rng = np.random.default_rng(3)
            sample = [self._conditions.answered(lambda choice: int(rng.integers(len(choice.words)))) for _ in range(_SAMPLED)]
            traces = [found for answers in sample if (found := self._traced(answers)) is not None]
        return graph_form(self._conditions, traces)

    def graphs(self, architecture: Architecture) -> list[Graph]:
        """Return the network and the choices as graphs, or the choices alone if the module cannot be traced."""
        answers = self._answers(architecture)
        if not self._can_trace:
            return self._form.graphs(answers, None)
        _ = self._form  # from here on, the graph is kept of each module that is traced
        found = self._found(answers)
        if found is not None and found.graphs is None:
            self._facts.clear()
            found = self._found(answers)
        graphs = None if found is None else found.graphs
        return self._form.graphs(answers, None) if graphs is None else graphs

    def drawing(self, architecture: Architecture) -> list[Graph]:
        """Return the network as a graph, or the choices if the module cannot be traced."""
        return self.graphs(architecture)[:1]

    def encode(self, architectures: Sequence[Architecture]) -> GraphBatch:
        return pack([self.graphs(architecture) for architecture in architectures], self.vocabulary)

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        """Return the architectures of a population, from their choices; the graphs of the networks are not compared."""
        if batch.vocabulary != self.vocabulary:
            raise ArchitectureError(f"batch: expected the vocabulary of {self.name}; got {batch.vocabulary}.")
        cell = batch.operators.shape[1] - 1
        return [self._architecture(self._form.answers(batch.graph(row, cell))) for row in range(len(batch))]

    # Identity

    def canonical_graphs(self, batch: GraphBatch) -> GraphBatch:
        """Return the graphs of the representatives of a small space, and of a large one the graphs as they are."""
        return self.representative_graphs(batch) if self.size <= self.enumerable else batch

    def representative(self, architecture: Architecture) -> Architecture:
        """Return the first architecture with the same key of a small space; in a large one each stands for itself."""
        return super().representative(architecture) if self.size <= self.enumerable else self._own(architecture)

    def key(self, architecture: Architecture) -> str:
        text = self._own(architecture).text
        known = self._keys.get(text)
        if known is None:
            known = self._keys[text] = self._key(architecture)
            if len(self._keys) > _KEYS:
                self._keys.popitem(last=False)
        return known

    def _key(self, architecture: Architecture) -> str:
        answers = self._answers(architecture)
        found = self._found(answers) if self._can_trace else None
        if found is None:
            return hashlib.blake2b(architecture.text.encode(), digest_size=10).hexdigest()
        by_name = self._conditions.by_name
        kept = [f"{name}={by_name[name].words[number]}" for name, number in answers.items() if name in self._hidden_choices]
        return hashlib.blake2b(found.form + " ".join(kept).encode(), digest_size=10).hexdigest()

    def _found(self, answers: Answers, arguments: Mapping[str, int] | None = None, inputs: Any = None) -> Facts | None:
        """Return what a traced module shows, or None if it cannot be traced."""
        known = (tuple(answers.items()), tuple(sorted((arguments or {}).items())), _shapes(inputs))
        if known in self._facts:
            return self._facts[known]
        traced = self._traced(answers, arguments, inputs)
        graphs = self._form.graphs(answers, traced) if inputs is None and "_form" in self.__dict__ else None
        self._facts[known] = None if traced is None else Facts.of(traced, graphs)
        if len(self._facts) > _REMEMBERED:
            self._facts.popitem(last=False)
        return self._facts[known]

    def _traced(self, answers: Answers, arguments: Mapping[str, int] | None = None, inputs: Any = None) -> Trace | None:
        try:
            with _collection_later():
                built = self._run(answers, self._defaults if arguments is None else arguments)
                try:
                    return trace(built, self._inputs if inputs is None else inputs)
                finally:
                    del built  # before the collection, which would look through it
        except (Untraceable, ArchitectureError):
            return None

    @property
    def traceable(self) -> bool:
        """Whether modules can be traced; if not, their choices are their keys, and what surrogates see."""
        return self._can_trace

    @cached_property
    def _can_trace(self) -> bool:
        """Whether modules can be traced: tried with a few architectures, each of which must run on the example inputs."""
        rng = np.random.default_rng(1)
        tried = [self._conditions.answered(lambda choice: 0)]
        tried += [self._conditions.answered(lambda choice: int(rng.integers(len(choice.words)))) for _ in range(_TRIED - 1)]
        reasons = {}
        for answers in tried:
            try:
                trace(self._run(answers, self._defaults), self._inputs)
            except Untraceable as error:
                self._ran(answers, self._defaults, self.example_inputs)
                reasons[self._architecture(answers).text] = message_in_one_line(error, 200)
        if reasons:
            text, reason = next(iter(reasons.items()))
            self._say(
                "untraceable",
                f"{self.name}: the module of {text!r} cannot be traced ({reason}). The choices "
                "of an architecture are its key and what surrogates see: architectures that compute the same count as "
                "different ones.",
            )
        return not reasons

    @cached_property
    def _hidden_choices(self) -> frozenset[str]:
        """The choices that a traced run never shows; they count in keys."""
        if not self._can_trace:
            return frozenset()
        hidden = {choice.name for choice in self._conditions.choices if not self._shows(choice)}
        if hidden:
            self._say(
                "hidden",
                f"{self.name}: the traced module shows nothing of {', '.join(sorted(hidden))}: these choices count as settings "
                "of the training, and are a part of the key.",
            )
        return frozenset(hidden)

    def _shows(self, choice: Choice) -> bool:
        """Return whether some traced modules that differ in the answer to a choice differ; True if none can be compared."""
        opening: Answers = {}
        outer = choice
        while outer.parent is not None:
            opening[outer.parent] = min(outer.opened_by)
            outer = self._conditions.by_name[outer.parent]
        compared = False
        for attempt in range(_TRIED):
            rng = np.random.default_rng((2, attempt))  # the same modules for each choice, as far as they can be
            drawn = {each.name: int(rng.integers(len(each.words))) for each in self._conditions.choices} | opening
            answers = self._conditions.answered(lambda each, drawn=drawn: drawn[each.name])  # type: ignore[misc]
            if choice.name not in answers or (base := self._found(answers)) is None:
                continue
            drawn[choice.name] = (drawn[choice.name] + 1) % len(choice.words)
            changed = self._found(self._conditions.answered(lambda each, drawn=drawn: drawn[each.name]))  # type: ignore[misc]
            if changed is None or changed.form != base.form:
                return True
            compared = True
        return not compared

    def _say(self, topic: str, message: str) -> None:
        """Log a message, once for each space."""
        if topic not in self._said:
            self._said.add(topic)
            _log.warning(message)


def _check_sent(build: Build) -> None:
    """Raise ConfigurationError if a function cannot be sent to other processes, with the names of what it refers to.

    Functions of modules are sent by name. Those of notebooks, and functions in functions, are sent with all that they refer to,
    by cloudpickle, which Ray uses; without it nothing is checked.
    """
    if not inspect.isfunction(build) or (build.__module__ != "__main__" and "<locals>" not in build.__qualname__):
        return
    try:
        import cloudpickle
    except ImportError:
        return
    try:
        cloudpickle.dumps(build)
    except Exception as error:
        used = inspect.getclosurevars(build)
        blamed = [name for name, value in {**used.nonlocals, **used.globals}.items() if not _is_sent(value, cloudpickle.dumps)]
        raise ConfigurationError(
            f"build: {build.__qualname__} cannot be sent to other processes: {', '.join(blamed) or 'what it refers to'} "
            f"cannot be pickled ({message_in_one_line(error, 200)}). Create that within build, or in a module that build imports."
        ) from error


def _is_sent(value: object, dumps: Callable[[object], bytes]) -> bool:
    try:
        dumps(value)
    except Exception:
        return False
    return True


@contextmanager
def _collection_later() -> Iterator[None]:
    """Hold back Python's collection of circular garbage, which would look through all objects of the process several times."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _name_of(build: Build) -> str:
    name = getattr(build, "__name__", type(build).__name__)
    if name in ("<lambda>", "build"):
        raise ConfigurationError(
            f"name: expected a name of the space, under which evaluations are stored; the function is called {name}."
        )
    return str(name)


def _arguments_of(build: Build) -> dict[str, int]:
    """Return the arguments of `build` after `choose`, with their defaults."""
    try:
        _, *others = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        raise ConfigurationError("build: expected a function with `choose` as its first argument.") from None
    found = {}
    for parameter in others:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if isinstance(parameter.default, bool) or not isinstance(parameter.default, int):
            raise ConfigurationError(
                f"build: expected a whole number as the default of each argument after `choose`; {parameter.name!r} has "
                f"{'none' if parameter.default is parameter.empty else repr(parameter.default)}. Use functools.partial."
            )
        found[parameter.name] = parameter.default
    return found


def _checked_inputs(inputs: Any) -> Any:
    found = (
        [inputs] if not isinstance(inputs, tuple | list | dict) else list(inputs.values() if isinstance(inputs, dict) else inputs)
    )
    if not any(isinstance(each, Tensor) for each in found):
        raise ConfigurationError(
            wrong_kind(
                "example_inputs",
                "a tensor, a tuple of positional arguments, or a dict of arguments by name, with tensors",
                inputs,
            )
        )
    return on_meta(inputs)


def _shapes(inputs: Any) -> Any:
    if isinstance(inputs, Tensor):
        return tuple(inputs.shape)
    if isinstance(inputs, dict):
        return tuple((name, _shapes(value)) for name, value in inputs.items())
    return tuple(map(_shapes, inputs)) if isinstance(inputs, tuple | list) else inputs
