"""Where runs are stored: folders, and buckets of a real server that speaks the protocol of S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch import evaluators, spaces
from archsearch.cluster import Ledger
from archsearch.cluster.storage_place import StoragePlace, local_folder
from archsearch.cluster.trials.attempts import Attempt, AttemptNote, forget_attempts
from archsearch.errors import ConfigurationError, RunError


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("runs", "HERE/runs"),
        ("/data/runs", "/data/runs"),
        ("file:///data/my%20runs/", "/data/my runs"),
        ("file:/data/runs", "/data/runs"),
        ("FILE://localhost/data/runs", "/data/runs"),
        (Path("file:///data/runs"), "/data/runs"),
        ("run:1", "HERE/run:1"),
        ("./s3:/odd", "HERE/s3:/odd"),
        ("/data/a:b", "/data/a:b"),
    ],
)
def test_folders(given: str | Path, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = StoragePlace.of(given)
    assert place.address == str(place.local) == folder.replace("HERE", str(tmp_path))
    assert not place.is_remote
    assert place.child("a").address == f"{place.address}/a"
    assert place.child("a").parent() == place


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("s3://bucket/runs", "s3://bucket/runs"),
        ("S3://bucket/runs/", "s3://bucket/runs"),
        (Path("s3://bucket/runs"), "s3://bucket/runs"),  # a Path makes it s3:/bucket/runs
        ("s3://bucket/runs?region=eu", "s3://bucket/runs?region=eu"),
        ("s3://bucket", "s3://bucket"),
    ],
)
def test_buckets(given: str | Path, address: str) -> None:
    place = StoragePlace.of(given)
    assert (place.address, place.is_remote) == (address, True)
    path, query, options = address.partition("?")
    assert place.child("a b").address == f"{path}/a%20b{query}{options}"
    assert place.child("a b").name == "a b"
    assert place.child("a").parent() == place


@pytest.mark.parametrize(
    "given",
    [
        "gs://bucket/runs",
        "hdfs://host/runs",
        "memory://runs",
        "mock:///runs",
        "C:\\runs",
        "\\\\server\\share",
        "abfs://c@account/runs",
        "http://host/runs",
        "s3://bucket/../runs",
        "s3:bucket",
        "s3://",
        "s3:///",
        "file:runs",
        "file://host/runs",
        "ssh://host/runs",
        "ab:/c",
        "sqlite:///x.db",
    ],
)
def test_other_uris_are_refused_and_make_no_folder(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="storage: expected .*; got .*(Mount|plain path)"):
        StoragePlace.of(given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given", ["s3://KEY:pa55word@bucket/runs", "s3://bucket/runs?secret_key=pa55word", "s3://KEY:***@bucket"]
)
def test_keys_in_the_address_are_refused_and_not_shown(given: str) -> None:
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY") as caught:
        StoragePlace.of(given)
    assert "pa55word" not in str(caught.value)


def test_what_only_a_folder_of_this_machine_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_folder("out/a", "output") == Path("out/a")
    assert local_folder("file:///data/out", "output") == Path("/data/out")
    for given in ("s3://bucket/out", Path("s3://bucket/out"), "gs://bucket/out"):
        with pytest.raises(ConfigurationError, match="output: expected a folder"):
            local_folder(given, "output")
    assert not list(tmp_path.iterdir())


def test_a_working_copy_goes_to_the_bucket_and_back(bucket: str) -> None:
    place = StoragePlace.of(bucket).child("my run=1")
    assert not place.holds("run.yaml")
    for name in ("run.yaml", "report/report.html", "tune/big", ".half.tmp", "gone.txt"):
        (place.local / name).parent.mkdir(parents=True, exist_ok=True)
        (place.local / name).write_text(name)
    place.upload()
    (place.local / "gone.txt").unlink()
    (place.local / "run.yaml").write_text("changed")
    place.upload()
    other = StoragePlace.of(place.address)
    (other.local / "stray").write_text("of this machine")
    assert other.holds("run.yaml") and not other.holds("gone.txt")
    assert other.parent().names("run.yaml") == ["my run=1"]
    other.download()
    found = {path.relative_to(other.local).as_posix() for path in other.local.rglob("*") if path.is_file()}
    assert found == {"run.yaml", "report/report.html"}
    assert (other.local / "run.yaml").read_text() == "changed"


def test_a_bucket_is_tried_and_left_clean(bucket: str) -> None:
    place = StoragePlace.of(bucket)
    place.check_writable()
    assert place.names("run.yaml") == []
    missing = bucket.replace("s3://test-", "s3://missing-")
    with pytest.raises(RunError, match="storage: cannot write to s3://missing-.*check the name, the credentials"):
        StoragePlace.of(missing).check_writable()


def test_a_ledger_in_a_bucket(bucket: str) -> None:
    space = spaces.get("nasbench201")
    evaluator = evaluators.from_text("table:digits201", space, 0)
    ledger = Ledger(StoragePlace.of(bucket).child("ledger").address, space, evaluator.fingerprint())
    texts = ["|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"]
    found = evaluator.evaluate([space.parse(text) for text in texts])
    ledger.append("r", 0, [(0, found[0])])
    ledger.append("r", 1, [(0, found[1])])
    assert [entry.evaluation.score for entry in ledger.entries("r")] == [each.score for each in found]
    assert ledger.compact(most=1) == 2
    assert [entry.evaluation.score for entry in ledger.entries("r")] == [each.score for each in found]
    note = AttemptNote(ledger, "r", 2)
    assert note.read() is None
    note.begin(Attempt(processes=1), texts)
    assert note.read() == Attempt(processes=1)
    forget_attempts(ledger, "r")
    assert note.read() is None
