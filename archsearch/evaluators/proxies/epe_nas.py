"""EPE-NAS: correlations of the Jacobian within each class."""

from __future__ import annotations

import torch

from archsearch.evaluators.proxies.subject import Subject

_K = 1e-5
_MANY_CLASSES = 100


def epe_nas(subject: Subject) -> float:
    """Return the score of the classes' correlation matrices `S_c`, which have the images of class c.

    With `e_c = sum_ij log(|S_c[i, j]| + k)`, divided by the number of images of c where there are more than 100 classes, the
    score is `sum_c |e_c|` up to 100 classes, and else `sum_{b < c} |e_b - e_c|` over the number of classes; `k = 1e-5`. V. Lopes,
    S. Alirezazadeh, L. Alexandre, "EPE-NAS: Efficient Performance Estimation Without Training for Neural Architecture Search",
    ICANN 2021, arXiv 2102.08099, equations 3 to 5. Classes with fewer than two images of the batch are left out.
    """
    jacobian, scores = subject.input_gradients().double(), []
    classes, counts = subject.labels.unique(return_counts=True)
    many = len(classes) > _MANY_CLASSES
    for label in classes[counts > 1]:
        rows = jacobian[subject.labels == label]
        found = torch.log(torch.corrcoef(rows).abs() + _K).sum()
        scores.append(found / len(rows) if many else found)
    if not scores:
        return float("nan")
    values = torch.stack(scores)
    if not many:
        return float(values.abs().sum())
    return float((values[:, None] - values).abs().triu(1).sum() / len(values))
