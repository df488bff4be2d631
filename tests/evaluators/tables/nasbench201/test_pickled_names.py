from __future__ import annotations

import numpy as np
import pytest

from archsearch.evaluators.tables.nasbench201.pickled_names import Name, is_known, make, set_state


def test_only_names_of_plain_data_are_known() -> None:
    assert is_known(Name("collections", "OrderedDict"))
    assert is_known(Name("numpy", "ndarray"))
    for name in (Name("os", "system"), Name("builtins", "eval"), Name("collections", "Counter")):
        assert not is_known(name)


def test_numbers_and_containers_are_made() -> None:
    assert make(Name("collections", "defaultdict"), (Name("builtins", "list"), {1: 2})) == {1: 2}
    assert make(Name("_codecs", "encode"), ("é", "latin1")) == b"\xe9"
    kind = make(Name("numpy", "dtype"), ("f8", False, True))
    set_state(kind, (3, "<", None, None, None, -1, -1, 0))
    assert make(Name("numpy.core.multiarray", "scalar"), (kind, np.float64(1.5).tobytes())) == 1.5


@pytest.mark.parametrize("kind", ["O", "V8", "f8,f8", "U9"])
def test_types_that_are_no_numbers_are_refused(kind: str) -> None:
    with pytest.raises(TypeError, match="numpy's type"):
        make(Name("numpy", "dtype"), (kind, False, True))
