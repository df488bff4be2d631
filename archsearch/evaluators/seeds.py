"""Seeds of single uses, derived from the seed of a whole: what one candidate draws does not depend on the others."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: object) -> int:
    """Return a seed below 2^56 that belongs to the texts of these parts alone, such as seed, key of a candidate, and use."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())
