#!/usr/bin/env python3
"""Writes the small pictures of tests/data/images: one for each thing a decoder can get wrong, with Pillow.

    tools/make_test_images.py tests/data/images

All show the same 13 x 9 pattern (expected.png is it), or parts of it as the name says: orientation_N.jpg holds it
turned so that EXIF orientation N brings it upright again. The expected pixels of the JPEG files are those that Pillow
decodes (NAME.expected.png), of all others those of expected.png, exactly.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 13, 9


def pattern():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([x * 255 // (WIDTH - 1), y * 255 // (HEIGHT - 1), (x * 37 + y * 91) % 256], axis=-1)
    return Image.fromarray(rgb.astype(np.uint8))


def large_pattern():
    """The same colours in 8 x 8 squares: JPEG keeps those apart."""
    return pattern().resize((WIDTH * 8, HEIGHT * 8), Image.NEAREST)


def save_jpeg(image, path, **options):
    image.save(path, quality=92, **options)
    decoded = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    decoded.save(path.with_suffix(".expected.png"))


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    image = pattern()
    image.save(out / "expected.png")
    image.save(out / "lossless.webp", lossless=True)
    image.save(out / "rgb24.bmp")
    image.convert("RGBA").save(out / "rgba32.bmp")
    image.save(out / "interlaced_source.png")

    paletted = image.convert("P", palette=Image.ADAPTIVE, colors=256)
    assert paletted.convert("RGB").tobytes() == image.tobytes()
    paletted.save(out / "palette.gif")
    paletted.save(out / "palette.bmp")
    paletted.save(out / "palette.png")
    frames = [paletted] + [ImageOps.invert(image).convert("P", palette=Image.ADAPTIVE)]
    frames[0].save(out / "animated.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    image.save(out / "animated.webp", save_all=True, append_images=[ImageOps.invert(image)], lossless=True, duration=100)
    (out / "interlaced_source.png").unlink()

    # Half transparent, over white: 255 - (255 - c) / 2.
    half = image.convert("RGBA")
    half.putalpha(128)
    half.save(out / "half_alpha.png")
    half.save(out / "half_alpha.webp", lossless=True, exact=True)
    white = Image.new("RGBA", half.size, (255, 255, 255))
    Image.alpha_composite(white, half).convert("RGB").save(out / "half_alpha.expected.png")

    # A colour that is transparent: white after all.
    clear = image.copy()
    clear.putpixel((0, 0), (255, 255, 255))
    clear.save(out / "transparent_colour.expected.png")
    image.save(out / "transparent_colour.png", transparency=image.getpixel((0, 0)))
    paletted.save(out / "transparent_colour.gif", transparency=paletted.getpixel((0, 0)))

    # 16 bits: the high byte counts. Pillow writes grey ones only.
    grey = np.asarray(image)[..., 2]
    Image.fromarray(grey.astype(np.uint16) * 256 + 77).save(out / "grey16.png")
    Image.fromarray(grey).convert("RGB").save(out / "grey16.expected.png")
    Image.fromarray(grey > 127).save(out / "black_white.png")
    Image.fromarray(grey > 127).save(out / "black_white.bmp")
    Image.fromarray(grey > 127).convert("RGB").save(out / "black_white.expected.png")

    large = large_pattern()
    save_jpeg(large, out / "baseline.jpg")
    save_jpeg(large, out / "progressive.jpg", progressive=True, subsampling=0)
    save_jpeg(large.convert("CMYK"), out / "cmyk.jpg")
    undo = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
            6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}
    for orientation, operation in undo.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = image if operation is None else image.transpose(operation)
        turned.save(out / f"orientation_{orientation}.png", exif=exif)
        turned.save(out / f"orientation_{orientation}.webp", exif=exif, lossless=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    save_jpeg(large.transpose(Image.ROTATE_90), out / "orientation_6.jpg", exif=exif)


if __name__ == "__main__":
    main()
