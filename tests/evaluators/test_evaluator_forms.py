"""The strings that name evaluators: the words list all kinds."""

from archsearch.evaluators.evaluator_forms import FORMS, KINDS


def test_each_kind_is_in_the_words() -> None:
    assert all(f"{kind}:" in FORMS for kind in KINDS)
