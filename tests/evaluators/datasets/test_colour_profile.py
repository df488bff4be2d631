from __future__ import annotations

from PIL import Image, ImageCms

from archsearch.evaluators.datasets.colour_profile import in_srgb


def test_profiles_that_change_nothing_return_the_image_itself() -> None:
    image = Image.new("RGB", (2, 2), (1, 2, 3))
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (None, b"", own, lab, own[:90]):
        assert in_srgb(image, profile) is image


def test_a_profile_of_another_space_describes_pixels_of_that_space() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    found = in_srgb(Image.new("LAB", (1, 1), (255, 128, 128)), profile)
    assert found.mode == "RGB"
    assert min(found.getpixel((0, 0))) >= 253, "the lightest grey of Lab is white"
