"""The graph hypernetwork as an evaluator, on the real digits: learning, checkpoints, states, scores, refusals."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from archsearch import spaces
from archsearch.errors import ArchitectureError, ConfigurationError, DatasetError
from archsearch.evaluators import GHN, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.ghn.step_loop import Progress
from archsearch.evaluators.ghn.training import drawn_images, learning_rate
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 4, "cells_per_stage": 1}
SMALL: dict[str, Any] = {"hidden": 8, "width": 16, "tile": 4, "batch_size": 16, "evaluation_batch": 150}


def ghn(space: SearchSpace = SPACE, seed: int = 0, **changes: Any) -> GHN:
    return GHN(space, "digits", seed, **{"scale": TINY, **SMALL, **changes})


def drawn(space: SearchSpace, number: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def scores(evaluator: GHN, architectures: list[Architecture]) -> list[tuple[float, float]]:
    return [(each.score, each.metrics["valid_loss"]) for each in evaluator.evaluate(architectures)]


@pytest.mark.slow
def test_trained_weights_beat_chance_on_unseen_architectures() -> None:
    """Chance is 0.1 and a loss of 2.3; the candidates are not those of the training steps."""
    evaluator = ghn(tile=8, batch_size=64, width=64, hidden=32)
    candidates = drawn(SPACE, 12, seed=1)
    before = evaluator.fit(1).evaluate(candidates)
    after = evaluator.fit(50).evaluate(candidates)
    assert evaluator.steps_done == 50
    accuracy, loss = (np.mean([each.metrics[name] for each in after]) for name in ("valid_accuracy", "valid_loss"))
    assert accuracy > 1.5 * evaluator.chance
    assert loss < 2.25 < np.mean([each.metrics["valid_loss"] for each in before])


def test_scores_are_those_of_the_module_with_the_generated_weights() -> None:
    evaluator = ghn().fit(3)
    validation = datasets.load("digits").validation
    mean, std = datasets.load("digits").train.statistics()
    images = datasets.resident(validation, mean, std)
    for architecture, evaluation in zip(drawn(SPACE, 3), evaluator.evaluate(drawn(SPACE, 3)), strict=True):
        architecture = SPACE.representative(architecture)
        network = SPACE.build(architecture, 10, 1, **TINY).train()
        assert set(evaluator.generate(architecture)) == {name for name, _ in network.named_parameters()}
        network.load_state_dict(evaluator.generate(architecture), strict=False)
        right, loss = 0, 0.0
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        for rows in order.tensor_split(3):
            with torch.no_grad():
                logits = network(images.images[rows])
            right += int((logits.argmax(1) == images.labels[rows]).sum())
            loss += float(F.cross_entropy(logits, images.labels[rows], reduction="sum"))
        assert evaluation.score == evaluation.metrics["valid_accuracy"] == pytest.approx(right / len(images))
        assert evaluation.metrics["valid_loss"] == pytest.approx(loss / len(images), rel=1e-5)
        assert evaluation.seconds == pytest.approx(
            evaluation.metrics["generation_seconds"] + evaluation.metrics["execution_seconds"]
        )


def test_generated_weights_can_be_trained_on() -> None:
    architecture = drawn(SPACE, 1)[0]
    evaluator = ghn().fit(1)
    weights = evaluator.generate(architecture)
    assert all(not tensor.requires_grad and not tensor.is_inference() for tensor in weights.values())
    dead = SPACE.parse("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    assert not evaluator.generate(dead)["steps.stage0_cell0_edge01.conv_weight"].any(), "it reaches no output"


def test_an_interrupted_fit_continues_from_its_checkpoint(tmp_path: Path) -> None:
    candidates, path = drawn(SPACE, 3), tmp_path / "folder" / "ghn.pt"
    whole = ghn().fit(6)

    class Interrupted(Exception):
        pass

    first = ghn()
    take = first._step

    def step(learned: Any, generate: Any, number: int, *others: int) -> float:
        if number == 4:
            raise KeyboardInterrupt
        return take(learned, generate, number, *others)

    first._step = step  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.fit(6, checkpoint=path)
    assert torch.load(path, weights_only=True)["steps"] == 4
    second = ghn().fit(6, checkpoint=path)
    assert second.steps_done == 6
    assert second.settings() == whole.settings(), "the same weights, bit by bit"
    assert scores(second, candidates) == scores(whole, candidates)
    assert [file.name for file in path.parent.iterdir()] == ["ghn.pt"], "nothing temporary is left"
    again = ghn().fit(6, checkpoint=path)
    assert again.settings() == whole.settings(), "there is nothing more to do"


def test_state_moves_to_another_evaluator() -> None:
    candidates, source = drawn(SPACE, 3), ghn().fit(3)
    target = ghn(seed=5).load(source.state())
    assert target.fingerprint() == source.fingerprint()
    assert scores(target, candidates) == scores(source, candidates)
    assert target.state()["seed"] == 0, "a state remembers how it was made"
    assert ghn(seed=0).load(source.state()).fit(5).settings() == ghn().fit(3).fit(5).settings(), "training continues equally"
    copied = pickle.loads(pickle.dumps(source))
    assert scores(copied, candidates) == scores(source, candidates)


def test_seed_decides_the_outcome() -> None:
    assert ghn(seed=1).fit(2).settings() == ghn(seed=1).fit(2).settings()
    assert ghn(seed=1).fit(2).settings() != ghn(seed=2).fit(2).settings()


def test_images_that_score_are_a_part_of_the_settings() -> None:
    trained = ghn().fit(2)
    state, fingerprints = trained.state(), {trained.fingerprint()}
    for changes in ({"evaluation_images": 100}, {"evaluation_batch": 100}):
        other = ghn(**changes).load(state)
        fingerprints.add(other.fingerprint())
        assert scores(other, drawn(SPACE, 2)) != scores(trained, drawn(SPACE, 2))
    assert len(fingerprints) == 3


def test_trained_on_small_blocks_and_used_on_larger_ones() -> None:
    space = Cells(9)
    evaluator = ghn(space, training_nodes=5, scale={"blocks": 3, "channels": 4}).fit(2)
    assert repr(evaluator.training_space) == repr(Cells(5))
    [evaluation] = evaluator.evaluate(drawn(space, 1))
    assert evaluation.ok
    assert evaluation.metrics["nodes_beyond_training"] == 4
    small = ghn(Cells(5), training_nodes=5, scale={"blocks": 3, "channels": 4}).load(evaluator.state())
    assert small.evaluate(drawn(Cells(5), 1))[0].metrics["nodes_beyond_training"] == 0
    assert repr(GHN(space, "digits", training_nodes=0).training_space) == repr(space)


def test_exits_have_their_accuracies() -> None:
    space = Anytime((3, 2), exit_probability=0.9)
    evaluator = ghn(space, scale={"channels": 4}).fit(2)
    [evaluation] = evaluator.evaluate(drawn(space, 1))
    curve = evaluation.curves["exit_accuracy"]
    assert len(curve) == len(space.exit_macs(evaluation.architecture, (1, 8, 8), 10, channels=4))
    assert curve[-1] == evaluation.score


def test_steps_without_a_finite_loss_are_skipped_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(part: Any, settings: Any, seed: int, step: int, rank: int) -> Any:
        batch = drawn_images(part, settings, seed, step, rank)
        if step in bad:
            batch.images[0] = float("nan")
        return batch

    monkeypatch.setattr("archsearch.evaluators.ghn.ghn.drawn_images", spoilt)
    bad = {1, 2}
    evaluator = ghn(max_skips=2).fit(4)
    assert evaluator.state()["skipped"] == 2
    assert evaluator.evaluate(drawn(SPACE, 1))[0].ok
    bad = set(range(10))
    with pytest.raises(ConfigurationError, match="3 steps in a row"):
        ghn(max_skips=2).fit(8)


def test_a_candidate_without_a_finite_loss_fails_alone() -> None:
    evaluator = ghn().fit(1)
    good = SPACE.parse("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    bad = SPACE.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    learned = evaluator._learned
    assert learned is not None
    with torch.no_grad():
        learned.model.kinds[learned.vocabulary.kinds.index("ReLU+Convolution(kernel=(1, 1))+BatchNorm")] = float("nan")
    first, failed, last = evaluator.evaluate([good, bad, good])
    assert first.ok
    assert last.score == first.score
    assert "not finite" in str(failed.error)


def test_progress_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.evaluators.ghn.step_loop._SHOW_EVERY", 0.0)
    lines: list[Progress] = []
    ghn().fit(3, report=lines.append)
    assert [line.done for line in lines] == [1, 2, 3]
    assert lines[-1].seconds_left == 0
    assert str(Progress(1200, 3000, 1.2345, 61.4)) == "step 1,200 of 3,000, loss 1.234, 61 s left"


def test_schedules() -> None:
    def rates(schedule: str) -> list[float]:
        settings = ghn(schedule=schedule, learning_rate=0.8).ghn_settings
        return [learning_rate(settings, step, 8) for step in (0, 3, 4, 6, 7)]

    assert rates("constant") == [0.8] * 5
    assert rates("halving") == [0.8, 0.8, 0.4, 0.2, 0.2]
    assert rates("cosine")[0] == 0.8
    assert rates("cosine")[2] == pytest.approx(0.4)


def own_digits(classes: int = 10, size: int = 8) -> Splits:
    def part(name: str) -> ImageDataset:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (40, 1, size, size), generator=generator).to(torch.uint8)
        return ImageDataset(f"own/{name}", images, torch.arange(40) % classes, tuple(map(str, range(classes))))

    return Splits(part("train"), part("validation"), part("test"))


def test_dataset_of_another_form_is_refused() -> None:
    state = ghn().fit(1).state()
    for splits, message in (
        (own_digits(classes=4), "classes is 4; got 10"),
        (own_digits(size=6), r"\[1, 6, 6\]; got \[1, 8, 8\]"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            GHN(SPACE, splits, scale=TINY, **SMALL).load(state)
    same_form = GHN(SPACE, own_digits(), scale=TINY, **SMALL).load(state)
    assert same_form.evaluate(drawn(SPACE, 1))[0].ok


def test_states_of_others_are_refused(tmp_path: Path) -> None:
    state = ghn().fit(1).state()
    with pytest.raises(ConfigurationError, match="space is 'enas'; got 'nasbench201'"):
        GHN(spaces.get("enas"), "digits", scale={"channels": 4}, **SMALL).load(state)
    with pytest.raises(ConfigurationError, match="scale"):
        ghn(scale={"channels": 8, "cells_per_stage": 1}).load(state)
    with pytest.raises(ConfigurationError, match="sizes is {'hidden': 9}; got {'hidden': 8}"):
        ghn(hidden=9).load(state)
    with pytest.raises(ConfigurationError, match="version is 1; got 0"):
        ghn().load({**state, "version": 0})
    path = tmp_path / "ghn.pt"
    ghn().fit(1, checkpoint=path)
    with pytest.raises(ConfigurationError, match="seed is 3; got 0"):
        ghn(seed=3).fit(2, checkpoint=path)
    with pytest.raises(ConfigurationError, match="training"):
        ghn(batch_size=8).fit(2, checkpoint=path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigurationError, match="Delete it to start anew"):
        ghn().fit(2, checkpoint=path)


def test_architecture_of_another_space_is_refused() -> None:
    evaluator, [foreign] = ghn().fit(1), drawn(spaces.get("enas"), 1)
    with pytest.raises(ArchitectureError, match="enas"):
        evaluator.evaluate([foreign])
    with pytest.raises(ArchitectureError, match="enas"):
        evaluator.generate(foreign)


def test_untrained_and_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        ghn().evaluate(drawn(SPACE, 1))
    with pytest.raises(ConfigurationError, match="steps: expected"):
        ghn().fit(0)
    with pytest.raises(ConfigurationError, match="propagations: expected a whole number from 1"):
        ghn(propagations=0)
    with pytest.raises(ConfigurationError, match="Did you mean 'propagations'"):
        ghn(propagation=2)
    with pytest.raises(ConfigurationError, match="scheme: expected one of"):
        ghn(scheme="sideways")
    with pytest.raises(ConfigurationError, match="preset"):
        ghn(preset="fast")
    with pytest.raises(ConfigurationError, match="passing: expected True or False"):
        ghn(passing=1)
    with pytest.raises(DatasetError, match="digits"):
        GHN(SPACE, "digit")


def test_mirror_images_are_not_mirrored_and_class_weights_change_what_is_learned(skewed: ModuleType) -> None:
    splits = skewed.arrows(train=(40, 6))
    plain, mirrored = (GHN(SPACE, splits, scale=TINY, **SMALL, **changes) for changes in ({}, {"flip": True}))
    assert not plain.ghn_settings.flip and mirrored.ghn_settings.flip
    assert plain.recipe() != mirrored.recipe()
    assert GHN(SPACE, "cifar10").ghn_settings.flip, "known without its images"
    weighted = GHN(SPACE, splits, scale=TINY, **SMALL, class_weights=True)
    assert weighted.fit(2).fingerprint() != plain.fit(2).fingerprint()
    assert plain.chance == 0.5 and plain.score_images == 24
    restored = GHN(SPACE, splits, scale=TINY, **SMALL).load(weighted.state())
    assert restored.fingerprint() == weighted.fingerprint(), "the weights score the same, however they were learned"
