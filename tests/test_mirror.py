"""The tests mirror the package: `archsearch/a/b.py` is tested by `tests/a/test_b.py`, apart from the lists below."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "archsearch"

# Training-free scores: one equation a file; all of them are compared with numpy in one test.
PROXIES = (
    *("params", "macs", "l2_norm", "grad_norm", "snip", "plain", "grasp", "fisher", "synflow", "jacov", "epe_nas", "nwot", "zen"),
    *("zico", "subject"),
)
# Modules without a test file of their name, and the test file that covers each. A module of data, or one that runs only as part
# of another, may stay here; anything with behaviour of its own should get a test file instead.
COVERED_ELSEWHERE = {
    "evaluators/function/candidate_task.py": "evaluators/function/test_steps.py",
    **{f"evaluators/proxies/{name}.py": "evaluators/proxies/test_registry.py" for name in PROXIES},
    "evaluators/datasets/image_files.py": "evaluators/datasets/test_imagefolder.py",
    "evaluators/datasets/encoded.py": "evaluators/datasets/test_streamed.py",
    "evaluators/datasets/inspection.py": "evaluators/datasets/test_streamed.py",
    "evaluators/datasets/part_facts.py": "evaluators/datasets/test_streamed.py",
    "evaluators/prediction/task.py": "evaluators/prediction/test_kinds.py",
    "evaluators/score_names.py": "evaluators/test_score_objective.py",
    "evaluators/tables/content.py": "evaluators/tables/test_checks.py",
    "evaluators/tables/draft.py": "evaluators/tables/test_table_file.py",
    "searchers/pretrained_ghn.py": "searchers/test_ghn_pretraining.py",
    "searchers/ranked_random_search.py": "searchers/test_proxies.py",
    "platform/observers.py": "platform/test_search.py",
    "platform/comparison/tracking.py": "platform/comparison/test_comparison.py",
    "platform/tracking/model_registry_loader.py": "platform/tracking/test_model_registry.py",
    "spaces/builder.py": "spaces/test_plan.py",
    "spaces/cost.py": "spaces/test_cost_counter.py",
    "spaces/operators/operator.py": "spaces/test_plan.py",
}

# Test files of a property of many modules, or of the repository.
CROSS_CUTTING = {
    "cluster/test_fuzz_ledger.py",
    "test_advice.py",
    "cluster/test_kills.py",
    "compatibility/test_states.py",
    "compatibility/test_written_before.py",
    "evaluators/ghn/test_conformance.py",
    "evaluators/ghn/test_own_space.py",
    "evaluators/datasets/test_odd_files.py",
    "evaluators/test_fuzz_checkpoints.py",
    "evaluators/training/test_shares.py",
    "evaluators/test_one_prediction.py",
    "platform/test_anytime_objective.py",
    "platform/test_browser.py",
    "platform/test_bucket.py",
    "platform/test_determinism.py",
    "platform/test_full_disk.py",
    "platform/test_function_kills.py",
    "platform/test_function_search.py",
    "platform/test_fuzz_configuration.py",
    "platform/test_latency_constraint.py",
    "platform/test_memory_limit.py",
    "platform/test_secrets.py",
    "platform/test_stops.py",
    "platform/test_surrogate_search.py",
    "platform/test_tasks.py",
    "platform/test_tracking_server.py",
    "searchers/test_ghn_trainers.py",
    "searchers/test_plain_tune.py",
    "searchers/test_tune_restore.py",
    "spaces/test_fuzz.py",
    "test_bad_arguments.py",
    "test_bad_modules.py",
    "test_bad_values.py",
    "test_benchmarks.py",
    "test_docs.py",
    "test_docstrings.py",
    "test_examples.py",
    "test_import.py",
    "test_import_circles.py",
    "test_launch.py",
    "test_mirror.py",
    "test_repository.py",
    "test_wheel.py",
}

MODULES = {
    path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")
}
TEST_FILES = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}


def mirror_of(module: str) -> str:
    """Return the path of the test file that mirrors a module."""
    path = Path(module)
    return path.with_name(f"test_{path.name}").as_posix()


def test_each_module_has_a_test_file() -> None:
    missing = sorted(module for module in MODULES - set(COVERED_ELSEWHERE) if mirror_of(module) not in TEST_FILES)
    assert not missing, "write a test file for each, or name the one that covers it in COVERED_ELSEWHERE"


def test_each_test_file_has_a_module() -> None:
    strange = sorted(TEST_FILES - set(map(mirror_of, MODULES)) - CROSS_CUTTING)
    assert not strange, "move each to the test file of its module, or name it in CROSS_CUTTING"


def test_modules_that_are_covered_elsewhere() -> None:
    gone = sorted(module for module in COVERED_ELSEWHERE if module not in MODULES)
    assert not gone, "these modules are gone: remove the entries"
    mirrored = sorted(module for module in COVERED_ELSEWHERE if mirror_of(module) in TEST_FILES)
    assert not mirrored, "these modules have a test file of their own now: remove the entries"
    lost = {module: test for module, test in COVERED_ELSEWHERE.items() if test not in TEST_FILES}
    assert not lost, "these test files are gone: name another one"


def test_cross_cutting_tests_are_there() -> None:
    assert not CROSS_CUTTING - TEST_FILES, "they are gone: remove the entries"
    assert not CROSS_CUTTING & set(map(mirror_of, MODULES)), "a module has this name now: remove the entries"
