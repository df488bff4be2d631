"""What all searchers share, beyond the conformance suite: arguments, sizes of batches, states of others."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import ConfigurationError, RunError
from archsearch.searchers import Goals, Objective, Observation, RandomSearch
from archsearch.searchers.conformance import Loop
from archsearch.spaces.nasbench201 import NASBench201


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_candidates": 0}, "num_candidates: expected a whole number of at least 1; got 0"),
        ({"num_candidates": 2.5}, "num_candidates: expected a whole number"),
        ({"num_candidates": True}, "num_candidates: expected a whole number"),
        ({"batch_size": -1}, "batch_size: expected a whole number of at least 1; got -1"),
        ({"lag": 0}, "lag: expected a whole number of at least 1; got 0"),
        ({"seed": -1}, "seed: expected a whole number of at least 0; got -1"),
        ({"seed": "1"}, "seed: expected a whole number; got '1'"),
        ({"workers": 0}, "workers: expected a whole number of at least 1; got 0"),
        ({"metric": ""}, "metric: expected the name of what trials report, such as 'score'; got an empty"),
        ({"metric": ["score", "macs"]}, "metric: expected a string; got"),
        ({"mode": "maximum"}, "mode: expected one of max, min; got 'maximum'"),
    ],
)
def test_wrong_arguments_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RandomSearch(NASBench201(), **settings)


def test_batches_grow_when_candidates_are_cheap() -> None:
    loop = Loop(RandomSearch(NASBench201(), num_candidates=300), lambda architecture: 0.5)
    loop.seconds = 0.001
    loop.run()
    sizes = [len(suggestion["candidates"]) for suggestion in loop.suggestions]
    assert sizes == [1, 8, 64, 227]


def test_batches_stay_single_when_candidates_are_dear() -> None:
    loop = Loop(RandomSearch(NASBench201(), num_candidates=10), lambda architecture: 0.5)
    loop.seconds = 3.0
    assert [len(suggestion["candidates"]) for suggestion in loop.run().suggestions] == [1] * 10


def test_deterministic_batches_have_a_fixed_size() -> None:
    loop = Loop(RandomSearch(NASBench201(), num_candidates=10, deterministic=True), lambda architecture: 0.5)
    loop.seconds = 0.001
    assert [len(suggestion["candidates"]) for suggestion in loop.run().suggestions] == [1] * 10


def test_deterministic_search_waits_for_the_batches_it_depends_on() -> None:
    searcher = RandomSearch(NASBench201(), num_candidates=10, deterministic=True, lag=2)
    assert [type(searcher.suggest(f"trial{number}")) for number in range(3)] == [dict, dict, type(None)]
    done = {"scores": [0.5], "seconds": [1.0], "errors": [None]}
    searcher.on_trial_complete(trial_id="trial1", result=done)
    assert searcher.suggest("trial2") is None, "batch 2 depends on batch 0, not on batch 1"
    searcher.on_trial_complete(trial_id="trial0", result=done)
    assert [type(searcher.suggest(f"trial{number}")) for number in (2, 3, 4)] == [dict, dict, type(None)]


def test_search_without_an_end_goes_on() -> None:
    loop = Loop(RandomSearch(NASBench201(), batch_size=50), lambda architecture: 0.5).run(batches=20)
    assert len(set(loop.candidates)) == 1000
    assert not loop.searcher.finished


def test_outcome_of_an_unknown_trial_is_ignored() -> None:
    searcher = RandomSearch(NASBench201(), num_candidates=3)
    searcher.on_trial_complete(trial_id="never suggested", result=None, error=True)
    assert searcher.num_proposed == len(searcher.history) == 0


def test_state_of_another_space_is_refused(tmp_path: Path) -> None:
    searcher = RandomSearch(NASBench201())
    (tmp_path / "state").write_text(json.dumps({**searcher.state(), "space": "another"}))
    with pytest.raises(RunError, match="state: expected one of nasbench201 with seed 0; got another with seed 0"):
        RandomSearch(NASBench201()).restore(str(tmp_path / "state"))
    with pytest.raises(RunError, match="checkpoint_path: cannot read a searcher's state from .*missing"):
        searcher.restore(str(tmp_path / "missing"))


def test_saving_replaces_the_state_as_a_whole(tmp_path: Path) -> None:
    loop = Loop(RandomSearch(NASBench201(), batch_size=2), lambda architecture: 0.5)
    for batches in (1, 3):
        loop.run(batches=batches).searcher.save(str(tmp_path / "state"))
        assert json.loads((tmp_path / "state").read_text()) == loop.searcher.state()
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def outcome(score: float, fidelity: int | None = None, **more: Any) -> dict[str, Any]:
    return {"scores": [score], "seconds": [1.0], "errors": [None], "fidelities": [fidelity], **more}


def test_partial_outcome_is_the_last_one_of_a_candidate_that_is_stopped() -> None:
    seen: list[tuple[float, int | None]] = []

    class Noting(RandomSearch):
        def observe_partial(self, observations: Sequence[Observation]) -> None:
            seen.extend((row.evaluation.score, row.evaluation.fidelity) for row in observations)

    searcher = Noting(NASBench201(), num_candidates=2, batch_size=1)
    searcher.suggest("a"), searcher.suggest("b")
    searcher.on_trial_result("a", outcome(0.25, 1))
    searcher.on_trial_result("a", outcome(0.5, 3, paused=True))
    searcher.on_trial_result("of another search", outcome(0.5, 3))
    assert seen == [(0.25, 1), (0.5, 3)] and not searcher.history
    searcher.on_trial_complete("a", outcome(0.5, 3))
    searcher.on_trial_complete("b", outcome(0.75))
    assert [(row.evaluation.score, row.evaluation.fidelity) for row in searcher.history] == [(0.5, 3), (0.75, None)]
    again = RandomSearch(NASBench201(), num_candidates=2, batch_size=1)
    again.load_state(json.loads(json.dumps(searcher.state())))
    assert again.history == searcher.history


def test_paused_candidate_is_open_but_not_waited_for() -> None:
    searcher = RandomSearch(NASBench201(), num_candidates=1, batch_size=1)
    searcher.suggest("a")
    searcher.on_trial_result("a", outcome(0.5, 3, paused=True))
    assert not searcher.complete and searcher.suggest("b") == "FINISHED"
    [batch] = searcher.state()["batches"]
    assert batch["number"] == 0
    searcher.on_trial_result("a", outcome(0.5, 9))
    searcher.on_trial_complete("a", outcome(0.75))
    assert searcher.complete


def test_candidates_of_an_earlier_part_are_taken_up_again() -> None:
    earlier = RandomSearch(NASBench201(), num_candidates=5, batch_size=1)
    texts = [earlier.suggest(str(number))["candidates"][0] for number in range(3)]  # type: ignore[index]
    earlier.on_trial_complete("1", outcome(0.5))
    searcher = RandomSearch(NASBench201(), num_candidates=5, batch_size=1)
    searcher.replay(earlier.history)
    searcher.reopen([(number, searcher.space.parse(text)) for number, text in enumerate(texts)])
    suggested = [searcher.suggest(str(number)) for number in range(5)]
    assert suggested[:2] == [{"architecture": texts[at], "batch": at, "candidates": [texts[at]]} for at in (0, 2)]
    assert [suggestion["batch"] for suggestion in suggested[2:4]] == [3, 4]  # type: ignore[index]
    assert suggested[4] == "FINISHED", "they count as candidates"
    for number in range(4):
        searcher.on_trial_complete(str(number), outcome(0.5))
    assert searcher.complete and len({row.evaluation.key for row in searcher.history}) == 5


def test_outcomes_in_a_fixed_order_are_not_held_back() -> None:
    searcher = RandomSearch(NASBench201(), num_candidates=10, deterministic=True, lag=2)
    searcher.holds_back = False
    assert all(isinstance(searcher.suggest(str(number)), dict) for number in range(5))


# Reports of a user's own trials


def plain(score: object, **more: object) -> dict[str, object]:
    return {"score": score, "training_iteration": 1, "config/lr": 0.1, "done": True, **more}


def test_tune_may_set_metric_and_mode() -> None:
    searcher = RandomSearch(NASBench201(), num_candidates=3)
    assert searcher.metric is None, "Tune must not look for a metric that TuneConfig may still change"
    assert searcher.set_search_properties("loss", "min", {}) is False, "a param_space is not sampled"
    searcher.suggest("a")
    searcher.on_trial_complete("a", result={"loss": 0.25, "score": 7.0})
    assert [row.evaluation.score for row in searcher.history] == [-0.25]


@pytest.mark.parametrize(
    ("own", "given", "message"),
    [
        ({"metric": "accuracy"}, ("loss", None), "metric: the searcher was made with metric='accuracy', and TuneConfig has"),
        ({"mode": "max"}, ("loss", "min"), "mode: the searcher was made with mode='max', and TuneConfig has mode='min'"),
    ],
)
def test_a_contradicting_metric_is_refused(own: dict[str, Any], given: tuple[str, str | None], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RandomSearch(NASBench201(), **own).set_search_properties(*given, {})


def test_a_report_that_lacks_an_objective_is_refused_by_its_name() -> None:
    goals = Goals((Objective("score"), Objective("latency", maximize=False)))
    searcher = RandomSearch(NASBench201(), goals=goals)
    searcher.suggest("a")
    searcher.on_trial_complete("a", result=plain(0.5, latency=3.0))
    assert searcher.history[0].evaluation.metrics == {"latency": 3.0}
    searcher.suggest("b")
    searcher.on_trial_complete("b", result=plain(0.5))
    why = searcher.history[1].evaluation.error or ""
    assert why.startswith("latency: trial b did not report it, which the searcher needs; it reported score. Call tune.report(")
    with pytest.raises(ConfigurationError, match="latency: trial b"):
        searcher.suggest("c")
    assert isinstance(searcher.suggest("c"), dict), "the error is told once"


def test_a_report_of_one_score_for_a_batch_is_refused() -> None:
    searcher = RandomSearch(NASBench201(), batch_size=3)
    suggestion = searcher.suggest("a")
    assert isinstance(suggestion, dict) and "architecture" not in suggestion
    searcher.on_trial_complete("a", result=plain(0.5))
    assert not any(row.evaluation.ok for row in searcher.history)
    with pytest.raises(ConfigurationError, match="scores: trial a reported none for its 3 candidates"):
        searcher.suggest("b")


def test_the_trial_of_a_batch_needs_scores_alone() -> None:
    searcher = RandomSearch(NASBench201(), batch_size=3)
    searcher.suggest("a")
    searcher.on_trial_complete("a", result={"scores": [0.1, 0.2, 0.3]})
    assert [row.evaluation.score for row in searcher.history] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("score", [math.nan, "0.5", None])
def test_a_score_that_is_no_number_fails_its_candidate_alone(score: object) -> None:
    searcher = RandomSearch(NASBench201(), mode="min")
    searcher.suggest("a")
    searcher.on_trial_complete("a", result=plain(score))
    assert (searcher.history[0].evaluation.error or "").startswith("score: expected")
    assert isinstance(searcher.suggest("b"), dict)


def test_batches_do_not_grow_while_trials_report_one_score() -> None:
    searcher = RandomSearch(NASBench201(), num_candidates=20)
    for number in range(20):
        suggestion = searcher.suggest(str(number))
        assert isinstance(suggestion, dict) and suggestion["candidates"] == [suggestion["architecture"]]
        searcher.on_trial_complete(str(number), result=plain(0.5, time_total_s=1e-3))
    assert searcher.complete
