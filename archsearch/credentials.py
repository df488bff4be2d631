"""Passwords and tokens in addresses: found, hidden in texts, and kept in the memory of this process alone."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

MASK = "***"
"""What stands in texts in place of a password or token."""

# Everything between `://` and the last `@`: a password may hold a `/` or `?`, which should have been written %2F or %3F.
_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/].*)@", re.DOTALL)
_QUERY = re.compile(r"(?P<before>[?&;#](?P<name>[^?&;=#]+)=)(?P<value>[^&;#]+)")
_URI = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://\S+")
# Parameters whose values are no secrets; all others are hidden, since every service names its own.
_HARMLESS = re.compile(
    r"region|scheme|endpoint_override|allow_bucket_creation|allow_bucket_deletion|charset|driver|timeout|connect_timeout"
    r"|ssl|sslmode|ssl_mode|application_name|mode|cache|size|workflowType|version"
    r"|image|label|task|separator|folder|part|white|background|on_error|jpeg",  # of datasets
    re.IGNORECASE,
)
_SERVERS = ("http", "https", "ray")
_SHORTEST = 4  # a shorter secret would be found everywhere

_kept: dict[str, str] = {}
_secrets: set[str] = set()


def hidden(text: str) -> str:
    """Return a text in which passwords and tokens are replaced by `***`.

    They are the user part of URIs (of databases, the password alone), the values of their parameters unless known to be
    harmless, and whatever `keep` or the environment knows as a secret.
    """
    if "://" in text:
        text = _URI.sub(lambda match: _hidden_in_uri(match[0]), text)
    for secret in sorted(_secrets | _secrets_of_environment(), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def has_credentials(text: str) -> bool:
    """Return whether a text holds an address with a password or token."""
    return any(_hidden_in_uri(match[0]) != match[0] for match in _URI.finditer(text))


def keep(uri: str) -> str:
    """Return a URI whose password is hidden; `revealed` of it gives the URI back, in this process alone."""
    masked = _hidden_in_uri(uri)
    if masked != uri:
        _kept[masked] = uri
        _secrets.update(_secrets_of(uri))
    return masked


def revealed(masked: str) -> str | None:
    """Return the URI that `keep` hid, or the one of MLFLOW_TRACKING_URI if it is the same but for the password, else None."""
    if masked in _kept:
        return _kept[masked]
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    return named if named and keep(named) == masked else None


def user_and_password(uri: str) -> tuple[str, str] | None:
    """Return the user name and the password in a URI, or None if it has no user part."""
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    name, _, password = user.partition(":")
    return (unquote(name), unquote(password)) if at else None


def without_user(uri: str) -> str:
    """Return a URI without user name and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def _hidden_in_uri(uri: str) -> str:
    return _QUERY.sub(_hidden_value, _USER.sub(_hidden_user, uri))


def _hidden_user(match: re.Match[str]) -> str:
    scheme, user = match["scheme"], match["user"]
    if scheme.rstrip(":/").lower() in _SERVERS:  # there, the name alone may be a token
        return f"{scheme}{MASK}@"
    name, colon, _ = user.partition(":")
    return f"{scheme}{name}:{MASK}@" if colon else match[0]


def _hidden_value(match: re.Match[str]) -> str:
    return match[0] if _HARMLESS.fullmatch(match["name"]) else f"{match['before']}{MASK}"


def _secrets_of(uri: str) -> set[str]:
    """Return the passwords and tokens of a URI, as they are written in it and decoded."""
    found = {match["value"] for match in _QUERY.finditer(uri) if not _HARMLESS.fullmatch(match["name"])}
    if match := _USER.search(uri):
        name, colon, password = match["user"].partition(":")
        found.add(password if colon else name)
    return {form for secret in found for form in (secret, unquote(secret)) if len(form) >= _SHORTEST and MASK not in form}


def _secrets_of_environment() -> set[str]:
    names = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
    values = {os.environ.get(name, "") for name in names} | _secrets_of(os.environ.get("MLFLOW_TRACKING_URI", ""))
    return {value for value in values if len(value) >= _SHORTEST}
