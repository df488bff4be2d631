"""Passwords and tokens in addresses: hidden wherever they stand, and kept in memory."""

from __future__ import annotations

import pickle

import pytest

from archsearch import credentials
from archsearch.credentials import has_credentials, hidden, keep, revealed, user_and_password, without_user
from archsearch.errors import ConfigurationError, first_line, message_in_one_line

WITH_SECRETS = {
    "http://someone:pa55word@127.0.0.1:5000": "http://***@127.0.0.1:5000",
    "https://pa55word@host/mlflow": "https://***@host/mlflow",
    "https://pa55word:x-oauth-basic@host": "https://***@host",
    "HTTP://me:pa55word@HOST": "HTTP://***@HOST",
    "mysql+pymysql://me:pa55word@host:3306/db?charset=utf8mb4": "mysql+pymysql://me:***@host:3306/db?charset=utf8mb4",
    "postgresql://me:pa55word@[::1]:5432/db": "postgresql://me:***@[::1]:5432/db",
    "postgresql://host/db?sslmode=require&password=pa55word": "postgresql://host/db?sslmode=require&password=***",
    "mssql+pyodbc://me:pa%2F55word@host/db?driver=ODBC": "mssql+pyodbc://me:***@host/db?driver=ODBC",
    "redis://:pa55word@host": "redis://:***@host",
    "http://host/?api_key=pa55word": "http://host/?api_key=***",
    "https://host/mlflow#access_token=pa55word": "https://host/mlflow#access_token=***",
    "http://host/?X-Amz-Signature=pa55word;token=pa55word": "http://host/?X-Amz-Signature=***;token=***",
    "s3://KEY:pa55/word@bucket/runs?region=eu": "s3://KEY:***@bucket/runs?region=eu",
    "http://me:pa@55/wo?rd@host": "http://***@host",
}
WITHOUT = [
    "auto",
    "off",
    "sqlite:////home/me@work/mlflow.db",
    "http://127.0.0.1:5000",
    "https://host/a@b".replace("@", "%40"),
    "postgresql://me@host/db",
    "databricks://profile",
    "file:///data/a@b",
    "s3://bucket/runs?region=eu&endpoint_override=127.0.0.1:9000&scheme=http",
    "table:/data/me@work/scores.csv#accuracy",
    "train:imagefolder:photos?size=224",
    "train:csv:s3://bucket/labels.csv?image=file&label=x,y&folder=photos&part=split&task=regression&separator=bar",
    "train:imagefolder:gs://bucket/photos?white=4095&background=black&on_error=skip&jpeg=fast",
]


@pytest.mark.parametrize("uri", WITH_SECRETS)
def test_a_secret_is_hidden_and_given_back(uri: str) -> None:
    assert has_credentials(uri)
    assert keep(uri) == WITH_SECRETS[uri] == keep(keep(uri))
    assert not has_credentials(keep(uri))
    assert revealed(keep(uri)) == uri
    assert hidden(f"got '{uri}', and {uri}\n").count("55") == 0


@pytest.mark.parametrize("uri", WITHOUT)
def test_what_is_no_secret_stays(uri: str) -> None:
    assert not has_credentials(uri)
    assert keep(uri) == uri == hidden(uri)


def test_what_was_not_kept_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert revealed("http://***@host") is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:pa55word@other")
    assert revealed("http://***@host") is None
    assert revealed("http://***@other") == "http://me:pa55word@other"


def test_a_kept_secret_is_hidden_where_it_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hidden("user me, password pa55 word") == "user me, password pa55 word"
    keep("postgresql://me:pa55%20word@host/db")
    assert hidden("user me, password pa55 word, or pa55%20word") == "user me, password ***, or ***"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    assert hidden("Authorization: Bearer t0ken") == "Authorization: Bearer ***"


def test_errors_never_show_a_secret() -> None:
    error = ConfigurationError("tracking: got http://me:pa55word@host")
    assert str(error) == "tracking: got http://***@host" == str(pickle.loads(pickle.dumps(error)))
    cause = ValueError("no answer from http://me:pa55word@host\n again")
    assert first_line(cause) == "no answer from http://***@host"
    assert message_in_one_line(cause) == "no answer from http://***@host again"


def test_user_and_password() -> None:
    assert user_and_password("http://me:pa%2F55@host") == ("me", "pa/55")
    assert user_and_password("http://token@host") == ("token", "")
    assert user_and_password("http://host") is None
    assert without_user("http://me:pa55@host:1/x?y=1") == "http://host:1/x?y=1"
    assert credentials.MASK == "***"
