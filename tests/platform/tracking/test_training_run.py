"""The run of a final training: beside its search, or with searches on the same dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from archsearch.platform.tracking.training_run import training_run


@pytest.fixture
def uri(mlflow_store: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"


def test_it_is_a_child_of_its_search(uri: str) -> None:
    client = MlflowClient(uri)
    search = client.create_run(client.create_experiment("nasbench201/a table"), run_name="search").info.run_id
    origin = {"run": "evolution-1", "searcher": "evolution"}
    run = training_run(uri, "nasbench201", "photos", "0123456789", origin, {"settings": {"epochs": 2}}, search)
    found = run.connect().get_run(str(run.run_id))
    assert found.info.experiment_id == client.get_run(search).info.experiment_id and found.info.run_name == "model-01234567"
    assert found.data.params == {"settings.epochs": "2"}
    expected = {"kind": "model", "space": "nasbench201", "dataset": "photos", "key": "0123456789", "mlflow.parentRunId": search}
    assert expected | {"searcher": "evolution", "search": "evolution-1"} == {
        name: value for name, value in found.data.tags.items() if name in expected or name.startswith("search")
    }


def test_without_a_search_that_the_store_has_it_is_with_the_dataset(uri: str) -> None:
    run = training_run(uri, "nasbench201", "photos", "0123456789", {}, {}, "f" * 32)
    client = run.connect()
    found = client.get_run(str(run.run_id))
    assert client.get_experiment(found.info.experiment_id).name == "nasbench201/photos"
    assert not {"mlflow.parentRunId", "searcher", "search"} & set(found.data.tags)
