"""Windows of an image and the matrix that they make, for NumPy arrays whose channels lie next to one another in memory.

An output pixel (i, j) of a convolution sees a window, the numbers x[i sy + a dy - top, j sx + b dx - left] for each row a and
column b of a kernel; what lies beyond the image is 0. Written one below the other, in the order (a, b, channel), the windows
are the matrix of patches, with which a convolution and its gradients are products of matrices (Chellapilla, Puri, Simard 2006).

This matrix has kernel height times width as many numbers as the image. It is never made as a whole: it comes in blocks, each in
the same buffer, while the processor's cache still has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ganspec.impl_chainer.memory import BUFFERS
from ganspec.impl_chainer.threads import NUMBERS, THREADS

Pair = tuple[int, int]  # vertical, horizontal
Block = tuple[slice, slice, slice]  # samples, rows of windows and columns of windows

# A block of patches has at most so many bytes, or so many rows where these are more: each product of a block reads all kernels.
# The padded images of a block have at most as many bytes as these patches may have, or those that one window spans.
BLOCK_BYTES = 1 << 22
BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Windows:
    """Where windows lie on an image.

    Args:
        size: height and width of the image.
        count: number of windows, vertically and horizontally.
        kernel: height and width of a window, in numbers that it sees.
        stride: pixels from one window to the next.
        start: pixels by which the first window begins before the image; negative where it begins inside.
        dilation: pixels from one number of a window to the next.
    """

    size: Pair
    count: Pair
    kernel: Pair
    stride: Pair
    start: Pair
    dilation: Pair = (1, 1)

    def mirrored(self) -> Windows:
        """Returns: for stride 1, the windows of the other side: which of these windows see a pixel, in reverse order."""
        start = tuple((k - 1) * d - s for k, d, s in zip(self.kernel, self.dilation, self.start, strict=True))
        return replace(self, size=self.count, count=self.size, start=start)

    def blocks(self, samples: int, channels: int, itemsize: int) -> Iterator[Block]:
        """Cut windows into blocks, whose buffers are given back afterwards where they are large.

        A block has all columns of windows unless it is a part of one row, and all rows unless it is of one sample: so what is
        made for it lies in one piece.

        Args:
            samples, channels: number of images and of their channels.
            itemsize: bytes of a number.

        Yields: samples, rows and columns of windows, each some; together they are all of a batch.
        """
        high, wide = self.count
        width = math.prod(self.kernel) * channels * itemsize
        rows = max(BLOCK_ROWS, BLOCK_BYTES // max(width, 1))
        together = max(1, rows // max(high * wide, 1))
        lines, columns = min(high, max(1, rows // max(wide, 1))), min(wide, rows)
        if self._beyond():
            pixels = max(BLOCK_ROWS * width, BLOCK_BYTES) // max(channels * itemsize, 1)
            while together * self._span(0, lines) * self._span(1, columns) > pixels and (together, lines, columns) != (
                1,
                1,
                1,
            ):
                if together > 1:
                    together //= 2
                elif lines > 1:
                    lines //= 2
                else:
                    columns //= 2
        for n in range(0, samples, together):
            for i in range(0, high, max(lines, 1)):
                for j in range(0, wide, max(columns, 1)):
                    yield (
                        slice(n, min(n + together, samples)),
                        slice(i, min(i + lines, high)),
                        slice(j, min(j + columns, wide)),
                    )
        BUFFERS.give_back()

    def _span(self, axis: int, count: int) -> int:
        """Returns: how many pixels neighbouring windows span, vertically (axis 0) or horizontally."""
        return (count - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def _beyond(self) -> bool:
        """Returns: whether any window sees what is beyond the image."""
        return any(
            t > 0 or self._span(i, n) - t > z
            for i, (t, n, z) in enumerate(zip(self.start, self.count, self.size, strict=True))
        )

    def patches(self, x: np.ndarray, block: Block, groups: int) -> np.ndarray:
        """The matrix of a block of windows, for each group of channels.

        Args:
            x: images, (N, height, width, channels).
            block: samples, rows and columns of windows.
            groups: number of groups of channels.

        Returns: (groups, windows, kernel height * width * channels / groups); good until the next one is made.
        """
        (samples, rows, columns), (kh, kw), (sy, sx), (dy, dx) = block, self.kernel, self.stride, self.dilation
        part = self._part(x[samples], rows, columns)
        n, high, wide, c = len(part), rows.stop - rows.start, columns.stop - columns.start, x.shape[3] // groups
        a, b, d, e = part.strides
        shape, strides = (n, high, wide, kh, kw, groups, c), (a, b * sy, d * sx, b * dy, d * dx, e * c, e)
        windows = as_strided(part, shape, strides, writeable=False)
        if groups == 1 and windows.flags.c_contiguous:  # 1x1 kernels; kernels as large as the image
            return windows.reshape(1, n * high * wide, kh * kw * c)
        found = BUFFERS.array("patches", (groups, n, high, wide, kh, kw, c), x.dtype)
        ordered = np.moveaxis(windows, 5, 0)
        THREADS.over(n, lambda some: np.copyto(found[:, some], ordered[:, some]), -(-NUMBERS * n // max(found.size, 1)))
        return found.reshape(groups, n * high * wide, kh * kw * c)

    def _part(self, x: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Returns: the pixels of the images that some windows span, with zeros for what is beyond the image."""
        height, width = self.size
        top, left = (w.start * s - t for w, s, t in zip((rows, columns), self.stride, self.start, strict=True))
        high, wide = self._span(0, rows.stop - rows.start), self._span(1, columns.stop - columns.start)
        if top >= 0 and left >= 0 and top + high <= height and left + wide <= width:
            return x[:, top : top + high, left : left + wide]
        padded = BUFFERS.array("padded", (len(x), high, wide, x.shape[3]), x.dtype)
        (above, below), (before, after) = _inside(top, high, height), _inside(left, wide, width)
        padded[:, :above] = 0
        padded[:, below:] = 0
        padded[:, above:below, :before] = 0
        padded[:, above:below, after:] = 0
        padded[:, above:below, before:after] = x[:, top + above : top + below, left + before : left + after]
        return padded

    def add(self, patches: np.ndarray, block: Block, x: np.ndarray) -> None:
        """Add each number of a block of patches to the pixel where it lies; what lies beyond the image is left out.

        Args:
            patches: (groups, windows, kernel height * width * channels / groups).
            block: samples, rows and columns of windows.
            x: images, (N, height, width, channels), which change.
        """
        (samples, rows, columns), (kh, kw), (sy, sx), (dy, dx) = block, self.kernel, self.stride, self.dilation
        x, groups = x[samples], len(patches)
        parts = patches.reshape(groups, len(x), rows.stop - rows.start, columns.stop - columns.start, kh, kw, -1)
        target = x.reshape(*x.shape[:3], groups, -1)
        for a in range(kh):
            up, down, y = _reached(rows, sy, a * dy - self.start[0], self.size[0])
            for b in range(kw):
                left, right, z = _reached(columns, sx, b * dx - self.start[1], self.size[1])
                if up < down and left < right:
                    at = target[:, y : y + (down - up - 1) * sy + 1 : sy, z : z + (right - left - 1) * sx + 1 : sx]
                    added = parts[
                        :, :, up - rows.start : down - rows.start, left - columns.start : right - columns.start, a, b
                    ]
                    at += np.moveaxis(added, 0, 3)


def _inside(start: int, length: int, size: int) -> Pair:
    """Returns: which part of [start, start + length) lies inside [0, size), counted from `start`."""
    first = min(max(-start, 0), length)
    return first, max(first, min(length, size - start))


def _reached(windows: slice, stride: int, offset: int, size: int) -> tuple[int, int, int]:
    """Returns: the windows whose number at an offset lies inside [0, size), first and end, and where that of the first lies."""
    first = max(windows.start, -(offset // stride))  # the ceiling of -offset / stride
    end = min(windows.stop, (size - 1 - offset) // stride + 1)
    return first, end, first * stride + offset
