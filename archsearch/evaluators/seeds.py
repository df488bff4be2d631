"""Seeds for single uses, derived by hashing: the random numbers of one candidate do not depend on the others."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: object) -> int:
    """Return a seed below 2^56, a hash of the parts as strings, such as seed, key of a candidate, and use."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())
