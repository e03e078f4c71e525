#!/usr/bin/env python3
"""Writes the films of tests/data/video: 64 x 48 pixels, a keyframe every 40 frames, frame i all grey of level 2 i.
Needs PyAV (pip install av) and numpy."""

import pathlib
import sys

import av
import numpy

FRAMES = 100


def write(path, codec, rate, pixel_format="yuv420p", options=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        stream.gop_size = 40
        for i in range(FRAMES):
            pixels = numpy.full((48, 64, 3), 2 * i, numpy.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "h264.mp4", "libx264", 10, options={"crf": "10", "bf": "2"})
    write(folder / "vp9.webm", "libvpx-vp9", 25, options={"crf": "10"})
    write(folder / "mjpeg.avi", "mjpeg", 25, "yuvj420p", options={"qmin": "1", "qmax": "1"})


if __name__ == "__main__":
    main()
