from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import load


def _write(folder: Path, classes: dict[str, int], side: int = 32, seed: int = 0) -> None:
    """Write `classes[name]` PNG files of noise for each class."""
    rng = np.random.default_rng(seed)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")


def test_class_folders_give_stratified_parts(tmp_path: Path) -> None:
    _write(tmp_path / "pets", {"dog": 20, "cat": 30})
    splits = load(f"imagefolder:{tmp_path / 'pets'}")
    assert [part.name for part in splits] == ["pets/train", "pets/validation", "pets/test"]
    assert [torch.bincount(part.labels).tolist() for part in splits] == [[24, 16], [3, 2], [3, 2]]
    assert splits.train.classes == ("cat", "dog")
    assert splits.train.shape == (3, 32, 32)
    again = load("imagefolder:pets", tmp_path)
    assert [part.digest for part in splits] == [part.digest for part in again]


def test_pixels_of_the_right_size_are_kept_exactly(tmp_path: Path) -> None:
    _write(tmp_path, {"cat": 3, "dog": 3})
    splits = load(f"imagefolder:{tmp_path}")
    loaded = {bytes(image) for part in splits for image in part.images.permute(0, 2, 3, 1).contiguous().numpy()}
    assert loaded == {bytes(np.asarray(Image.open(file))) for file in tmp_path.rglob("*.png")}


def test_train_validation_and_test_folders_are_used_as_they_are(tmp_path: Path) -> None:
    for seed, (part, counts) in enumerate({"train": (4, 5), "valid": (2, 1), "test": (0, 3)}.items()):
        _write(tmp_path / part, dict(zip(("cat", "dog"), counts, strict=True)), seed=seed)
    splits = load(f"imagefolder:{tmp_path}?size=16")
    assert [torch.bincount(part.labels, minlength=2).tolist() for part in splits] == [[4, 5], [2, 1], [0, 3]]
    assert splits.test.shape == (3, 16, 16)


def test_validation_comes_from_training_where_only_a_test_folder_is_given(tmp_path: Path) -> None:
    _write(tmp_path / "train", {"cat": 10, "dog": 10})
    _write(tmp_path / "test", {"cat": 2, "dog": 2}, seed=1)
    assert [len(part) for part in load(f"imagefolder:{tmp_path}")] == [18, 2, 4]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    _write(tmp_path, {"bus": 3, "train": 3})
    assert load(f"imagefolder:{tmp_path}").train.classes == ("bus", "train")


def test_any_format_mode_and_shape_becomes_a_square_of_three_channels(tmp_path: Path) -> None:
    _write(tmp_path, {"cat": 3, "dog": 3}, side=8)
    wide = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 50), dtype=np.uint8))
    wide.save(tmp_path / "cat" / "wide.JPEG", quality=95)
    (tmp_path / "dog" / "deeper").mkdir()
    wide.convert("RGBA").save(tmp_path / "dog" / "deeper" / "tall.webp", lossless=True)
    images = torch.cat([part.images for part in load(f"imagefolder:{tmp_path}?size=8")])
    assert images.shape == (8, 3, 8, 8)
    centre = wide.crop((15, 0, 35, 20)).resize((8, 8), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.asarray(centre).copy()).expand(3, 8, 8)
    inner = slice(1, -1)  # at the cut, the filter reaches beyond the square
    assert any((image.int() - expected.int())[:, :, inner].abs().max() <= 1 for image in images)


def test_other_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path, {"cat": 3, "dog": 3})
    (tmp_path / "README.md").write_text("pets")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"\0")
    (tmp_path / "cat" / "._000.png").write_bytes(b"\0")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert sum(map(len, load(f"imagefolder:{tmp_path}"))) == 6


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    _write(tmp_path, {"cat": 3, "dog": 3})
    broken = tmp_path / "dog" / "001.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(DatasetError) as caught:
        load(f"imagefolder:{tmp_path}")
    assert str(broken) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "got no images"),
        ({"cat": 0, "dog": 0}, "got no images"),
        ({"cat": 5}, "at least 2 classes"),
        ({"cat": 5, "dog": 2}, "class 'dog' has 2"),
        ({"cat": 5, "dog": 0}, "class 'dog' has 0"),
    ],
)
def test_too_few_images_or_classes_are_an_error(tmp_path: Path, classes: dict[str, int], message: str) -> None:
    _write(tmp_path, classes)
    with pytest.raises(DatasetError, match=message):
        load(f"imagefolder:{tmp_path}")


def test_a_test_class_that_training_lacks_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "train", {"cat": 3, "dog": 3})
    _write(tmp_path / "test", {"cats": 1})
    with pytest.raises(DatasetError, match=r"got 'cats'\. Did you mean 'cat'"):
        load(f"imagefolder:{tmp_path}")


def test_two_validation_folders_are_refused(tmp_path: Path) -> None:
    for part in ("train", "val", "validation"):
        _write(tmp_path / part, {"cat": 3, "dog": 3})
    with pytest.raises(DatasetError, match="got val, validation"):
        load(f"imagefolder:{tmp_path}")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "pets.zip").touch()
    with pytest.raises(DatasetError, match="expected a folder"):
        load(f"imagefolder:{tmp_path / 'pets.zip'}")


def test_images_need_not_be_square(tmp_path: Path) -> None:
    """24 rows of 96 columns: a bright left half must not be cut off."""
    for name, half in (("left", np.s_[:, :48]), ("right", np.s_[:, 48:])):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = np.zeros((24, 96), dtype=np.uint8)
            pixels[half] = 200 + number
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    whole = load(f"imagefolder:{tmp_path}?size=24x96")
    assert whole.train.shape == (3, 24, 96)
    assert sorted({float(image.float().mean()) for part in whole for image in part.images}) == [100.0, 100.5, 101.0]
    assert whole.train.remarks == ()
    [remark] = load(f"imagefolder:{tmp_path}?size=32").train.remarks
    assert "75 % of the median image, 24 x 96 pixels, is lost" in remark
    assert "size=16x64, keeps more" in remark
    assert load(f"imagefolder:{tmp_path}?size=16x64").train.remarks == ()


def test_options_reach_the_decoder(tmp_path: Path) -> None:
    for name, level in (("dim", 1000), ("lit", 3000)):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(np.full((4, 4), level, dtype=np.uint16)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(DatasetError, match="12 of 256 levels would remain"):
        load(f"imagefolder:{tmp_path}?size=4")
    splits = load(f"imagefolder:{tmp_path}?size=4&white=4000")
    assert {int(image.max()) for part in splits for image in part.images} == {64, 191}
    for file in tmp_path.rglob("*.png"):
        Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(file)
    assert all(bool((part.images == 255).all()) for part in load(f"imagefolder:{tmp_path}?size=4"))
    assert all(bool((part.images == 0).all()) for part in load(f"imagefolder:{tmp_path}?size=4&background=black"))


def test_pictures_of_formats_that_are_not_read_are_no_silent_loss(tmp_path: Path) -> None:
    _write(tmp_path, {"cat": 3, "dog": 3})
    (tmp_path / "cat" / "1.HEIC").touch()
    with pytest.raises(DatasetError, match=r"got 1 others, such as .*1\.HEIC\. Convert"):
        load(f"imagefolder:{tmp_path}")


def test_an_animation_is_said_in_the_remarks(tmp_path: Path) -> None:
    _write(tmp_path, {"cat": 3, "dog": 3})
    for number in range(2):
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime")]
        frames[0].save(tmp_path / "dog" / f"{number}.gif", save_all=True, append_images=frames[1:])
    [remark] = load(f"imagefolder:{tmp_path}").train.remarks
    assert remark.endswith("and 1 others: an animation; its first frame is used.")
