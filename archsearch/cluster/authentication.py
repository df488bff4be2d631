"""Authentication at a Ray cluster by its token."""

from __future__ import annotations

import logging
import os

TOKEN_HINT = "Ray's token of this machine; set RAY_AUTH_TOKEN, or write ~/.ray/auth_token, as on the cluster's head."
_SETUP = "ray._private.authentication.authentication_token_setup"


def use_token() -> bool:
    """Let this process send Ray's token if there is one; return whether it does.

    Ray sends a token to a cluster at an explicit address only if RAY_AUTH_MODE=token, though a cluster asks for it as soon as
    its head has one. The token is that of RAY_AUTH_TOKEN, of the file RAY_AUTH_TOKEN_PATH, or of `~/.ray/auth_token`
    (docs.ray.io, "Ray token authentication"). A mode that the environment names is left as it is.
    """
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode is not None:
        return mode.lower() == "token"
    try:
        # The variable alone would come too late where Ray was imported before: this reads it again.
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
    except ImportError:  # a release of Ray without tokens
        return False
    logging.getLogger(_SETUP).setLevel(logging.ERROR)  # its advice is for those who start clusters
    return bool(maybe_enable_token_auth_if_token_available(warn_if_disabled=False))


def authentication_error() -> type[Exception]:
    """Return the error that Ray raises for a wrong token; `PermissionError` for releases of Ray without tokens."""
    import ray

    error: type[Exception] = getattr(ray.exceptions, "AuthenticationError", PermissionError)
    return error
