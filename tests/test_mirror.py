"""The tests mirror the package: `archsearch/a/b.py` is tested by `tests/a/test_b.py`, apart from the lists below."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "archsearch"

# Modules without a test file of their name, and the test file that covers each. A module of data, or one that runs only as part
# of another, may stay here; anything with behaviour of its own should get a test file instead.
COVERED_ELSEWHERE = {
    "cluster/ledger/part_files.py": "cluster/ledger/test_ledger.py",
    "cluster/pool/layout.py": "cluster/pool/test_dispatcher.py",
    "cluster/pool/mailbox.py": "cluster/pool/test_dispatcher.py",
    "cluster/pool/newest_state.py": "cluster/pool/test_model_pool.py",
    "cluster/pool/registry.py": "cluster/pool/test_model_pool.py",
    "cluster/pool/seat.py": "cluster/pool/test_dispatcher.py",
    "cluster/pool_counts.py": "cluster/pool/test_dispatcher.py",
    "cluster/pool_creation.py": "cluster/pool/test_model_pool.py",
    "cluster/pool_reception.py": "cluster/pool/test_dispatcher.py",
    "cluster/process_group.py": "cluster/test_ghn_training.py",
    "cluster/trials/attempts.py": "cluster/trials/test_trial.py",
    "evaluators/cpu_threads.py": "evaluators/training/test_evaluator.py",
    "evaluators/damaged_state.py": "evaluators/test_fuzz_checkpoints.py",
    "evaluators/datasets/digits.py": "evaluators/datasets/test_registry.py",
    "evaluators/datasets/image_task.py": "evaluators/ghn/test_training.py",
    "evaluators/failure.py": "evaluators/training/test_evaluator.py",
    "evaluators/ghn/candidates.py": "evaluators/ghn/test_generation.py",
    "evaluators/ghn/graph_tensors.py": "evaluators/ghn/test_propagation.py",
    "evaluators/ghn/hypernetwork.py": "evaluators/ghn/test_generation.py",
    "evaluators/ghn/identity.py": "evaluators/ghn/test_ghn.py",
    "evaluators/ghn/image_evaluator.py": "evaluators/ghn/test_conformance.py",
    "evaluators/ghn/model.py": "evaluators/ghn/test_generation.py",
    "evaluators/ghn/one_shot.py": "evaluators/ghn/test_rivals.py",
    "evaluators/ghn/operator_kind.py": "evaluators/ghn/test_modules.py",
    "evaluators/ghn/phases.py": "evaluators/ghn/test_ghn.py",
    "evaluators/ghn/presets.py": "evaluators/ghn/test_ghn.py",
    "evaluators/ghn/provenance.py": "evaluators/ghn/test_rivals.py",
    "evaluators/ghn/scoring.py": "evaluators/ghn/test_conformance.py",
    "evaluators/ghn/settings.py": "evaluators/ghn/test_training.py",
    "evaluators/ghn/sgd_steps.py": "evaluators/ghn/test_rivals.py",
    "evaluators/ghn/shared_weights.py": "evaluators/ghn/test_rivals.py",
    "evaluators/ghn/step_loop.py": "evaluators/ghn/test_ghn.py",
    "evaluators/ghn/survey.py": "evaluators/ghn/test_own_space.py",
    "evaluators/ghn/trained.py": "evaluators/ghn/test_ghn.py",
    "evaluators/ghn/vocabulary.py": "evaluators/ghn/test_modules.py",
    "evaluators/ngae/ascent.py": "evaluators/ngae/test_ngae.py",
    "evaluators/ngae/encoder.py": "evaluators/ngae/test_decoder.py",
    "evaluators/ngae/model.py": "evaluators/ngae/test_decoder.py",
    "evaluators/ngae/propagation.py": "evaluators/ngae/test_decoder.py",
    "evaluators/ngae/proposals.py": "evaluators/ngae/test_ngae.py",
    "evaluators/ngae/quality.py": "evaluators/ngae/test_ngae.py",
    "evaluators/ngae/settings.py": "evaluators/ngae/test_ngae.py",
    "evaluators/ngae/targets.py": "evaluators/ngae/test_ngae.py",
    "evaluators/ngae/training.py": "evaluators/ngae/test_ngae.py",
    "evaluators/predictors/encoders/encoder.py": "evaluators/predictors/test_predictor.py",
    "evaluators/predictors/encoders/form.py": "evaluators/predictors/encoders/test_sequence.py",
    "evaluators/predictors/encoders/lstm.py": "evaluators/predictors/encoders/test_sequence.py",
    "evaluators/predictors/encoders/mlp.py": "evaluators/predictors/encoders/test_sequence.py",
    "evaluators/predictors/head.py": "evaluators/predictors/test_predictor.py",
    "evaluators/predictors/model.py": "evaluators/predictors/test_predictor.py",
    "evaluators/predictors/population.py": "evaluators/predictors/test_predictor.py",
    "evaluators/predictors/presets.py": "evaluators/predictors/test_predictor.py",
    "evaluators/predictors/settings.py": "evaluators/predictors/test_predictor.py",
    "evaluators/predictors/trained.py": "evaluators/predictors/test_predictor.py",
    "evaluators/predictors/training.py": "evaluators/predictors/test_predictor.py",
    "evaluators/tables/card.py": "evaluators/tables/test_table_file.py",
    "evaluators/tables/content.py": "evaluators/tables/test_checks.py",
    "evaluators/tables/draft.py": "evaluators/tables/test_table_file.py",
    "evaluators/tables/in_memory.py": "evaluators/test_tabular.py",
    "evaluators/tables/nasbench101/cells.py": "evaluators/tables/nasbench101/test_reader.py",
    "evaluators/tables/nasbench101/record.py": "evaluators/tables/nasbench101/test_reader.py",
    "evaluators/tables/nasbench201/files.py": "evaluators/tables/nasbench201/test_reader.py",
    "evaluators/tables/nasbench201/pickled_names.py": "evaluators/tables/nasbench201/test_safe_pickle.py",
    "evaluators/tables/nasbench201/protocol.py": "evaluators/tables/nasbench201/test_reader.py",
    "evaluators/tables/nasbench201/result.py": "evaluators/tables/nasbench201/test_reader.py",
    "evaluators/tables/parquet_file.py": "evaluators/tables/test_plain_file.py",
    "evaluators/tables/pickle_machine.py": "evaluators/tables/nasbench201/test_safe_pickle.py",
    "evaluators/tables/pickle_stream.py": "evaluators/tables/nasbench201/test_safe_pickle.py",
    "evaluators/tables/progress.py": "platform/commands/test_table_import.py",
    "evaluators/training/plan.py": "evaluators/training/test_loop.py",
    "evaluators/training/processes.py": "platform/training/test_worker_group.py",
    "evaluators/training/scoring.py": "evaluators/training/test_loop.py",
    "evaluators/training/weight_average.py": "evaluators/training/test_loop.py",
    "evaluators/vectors.py": "evaluators/predictors/test_gaussian_process.py",
    "platform/comparison/running.py": "platform/test_search.py",
    "platform/comparison/tracking.py": "platform/test_search.py",
    "platform/export/formats.py": "platform/export/test_folder.py",
    "platform/export/model_card.py": "platform/export/test_folder.py",
    "platform/export_run.py": "platform/commands/test_export.py",
    "platform/layers.py": "platform/test_configuration.py",
    "platform/preparation.py": "platform/test_search.py",
    "platform/progress.py": "platform/test_search.py",
    "platform/report/axes.py": "platform/report/test_figures.py",
    "platform/report/cell_layout.py": "platform/report/test_drawing.py",
    "platform/report/html.py": "platform/report/test_report.py",
    "platform/report/pictures.py": "platform/report/test_latent_figures.py",
    "platform/result.py": "platform/test_search.py",
    "platform/tracking/model_registry_loader.py": "platform/tracking/test_model_registry.py",
    "platform/tracking/setup.py": "platform/tracking/test_tracker.py",
    "platform/tracking/unsent.py": "platform/tracking/test_tracker.py",
    "platform/training/checkpoint.py": "platform/training/test_retraining.py",
    "platform/training/final_training.py": "platform/training/test_retraining.py",
    "platform/training/progress.py": "platform/training/test_retraining.py",
    "platform/training/trained_model.py": "platform/training/test_retraining.py",
    "searchers/fitness.py": "searchers/test_evolution.py",
    "searchers/ngae_surrogate.py": "searchers/test_ngae.py",
    "searchers/observation.py": "searchers/test_searcher.py",
    "searchers/optuna_tpe.py": "searchers/test_conformance.py",
    "searchers/surrogate/guided_evolution.py": "searchers/surrogate/test_searcher.py",
    "searchers/surrogate/ranking_surrogate.py": "searchers/surrogate/test_ranking_stage.py",
    "searchers/surrogate/stage.py": "searchers/surrogate/test_searcher.py",
    "searchers/surrogate/trust.py": "searchers/surrogate/test_searcher.py",
    "searchers/unique_candidates.py": "searchers/test_searcher.py",
    "spaces/builder.py": "spaces/test_plan.py",
    "spaces/cost.py": "spaces/test_cost_counter.py",
    "spaces/operators/operator.py": "spaces/test_plan.py",
}

# Test files of a property of many modules, or of the repository.
CROSS_CUTTING = {
    "cluster/test_fuzz_ledger.py",
    "cluster/test_kills.py",
    "evaluators/ghn/test_conformance.py",
    "evaluators/ghn/test_generation.py",
    "evaluators/ghn/test_own_space.py",
    "evaluators/ghn/test_rivals.py",
    "evaluators/test_fuzz_checkpoints.py",
    "platform/test_anytime_objective.py",
    "platform/test_browser.py",
    "platform/test_determinism.py",
    "platform/test_full_disk.py",
    "platform/test_fuzz_configuration.py",
    "platform/test_memory_limit.py",
    "platform/test_stops.py",
    "platform/test_surrogate_search.py",
    "platform/test_tracking_server.py",
    "searchers/test_ghn_trainers.py",
    "spaces/test_doctests.py",
    "spaces/test_fuzz.py",
    "test_docs.py",
    "test_examples.py",
    "test_import.py",
    "test_launch.py",
    "test_mirror.py",
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
