from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from archsearch.errors import ConfigurationError
from archsearch.spaces import ModuleSpace

SOURCE = '''
    """A network of a user."""

    from torch import nn

    from archsearch.spaces import ModuleSpace
    from archsearch.spaces.module import Choose
    {imported}


    class Squeeze(nn.Module):
        # a comment that stays
        def forward(self, x):
            return x.mean((2, 3))


    def net(choose: Choose, num_classes: int = 10, in_channels: int = 3) -> nn.Module:
        width = choose.one("width", [4, 8])
        act = choose.one("act", {{"relu": nn.ReLU, "gelu": nn.GELU}})
        sizes = choose.subset("sizes", [1, 3], least=1)
        ops = {{"conv": lambda: nn.Conv2d(width, width, choose.one("k", [1, 3])), "skip": nn.Identity}}
        item = lambda i: choose.layer("op", ops)
        first = [nn.Conv2d(in_channels if i == 0 else width, width, size) for i, size in enumerate(sizes)]
        return nn.Sequential(*first, *choose.repeat("depth", 0, 2, item), act(), Squeeze(), nn.Linear(width, num_classes))


    space = None
    made = [ModuleSpace]
    if __name__ == "__main__":
        print(made)
'''
TEXT = "width=8 act=gelu sizes=1+3 depth=2 depth.0.op=skip depth.1.op=conv depth.1.op.conv.k=3"


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, imported: str = "") -> tuple[ModuleSpace, Path]:
    """Write the user's module, and the exported file and weights of one architecture."""
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(SOURCE).format(imported=imported))
    (tmp_path / "sibling_of_user.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    user = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, user)
    space = ModuleSpace(user.net, torch.zeros(1, 3, 12, 12), name=name)
    network = space.build(space.parse(TEXT), num_classes=5)
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "model.py").write_text(network.source("One network.", "CLASSES = 5"))
    save_file({key: tensor.clone() for key, tensor in network.module.state_dict().items()}, folder / "weights.safetensors")
    return space, folder / "model.py"


def test_the_file_stands_alone_and_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, path = written(tmp_path, monkeypatch, "user_alone")
    text = path.read_text()
    assert "archsearch" not in text
    assert "# a comment that stays" in text
    assert "__main__" not in text
    spec = importlib.util.spec_from_file_location("exported_alone", path)
    assert spec is not None
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    expected = space.build(space.parse(TEXT), num_classes=5).eval()
    assert torch.equal(exported.load()(images), expected(images))
    assert exported.CLASSES == 5


def test_a_module_that_imports_others_of_the_user_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = written(tmp_path, monkeypatch, "user_needy", "import sibling_of_user")
    text = path.read_text()
    assert f"# user_needy imports sibling_of_user; it is taken from {tmp_path.resolve() / 'user_needy.py'}" in text
    assert "from user_needy import net" in text


def test_a_function_within_a_function_has_no_file() -> None:
    def build(choose):
        return torch.nn.Linear(3, choose.one("out", [1, 2]))

    space = ModuleSpace(build, torch.zeros(1, 3), name="inner")
    with pytest.raises(ConfigurationError, match="expected a function at the top of a module"):
        space.build(space.parse("out=1")).source("A network.")
