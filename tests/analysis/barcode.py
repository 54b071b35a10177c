"""Films that say which frame they show: a row of black and white blocks, and under it the same, inverted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rodent.video import Film

BITS, BLOCK = 12, 24
SIZE = (BITS * BLOCK, 6 * BLOCK)  # pixels, width and height

# In the page: the number that the film, or one `VideoFrame` of it, shows; -1 where the two rows do not contradict each
# other throughout.
READ = """
(frame) => {
  const film = frame || document.getElementById("film"), canvas = document.createElement("canvas"), block = %d;
  canvas.width = film.videoWidth || film.displayWidth;
  canvas.height = film.videoHeight || film.displayHeight;
  const g = canvas.getContext("2d", { willReadFrequently: true });
  g.drawImage(film, 0, 0);
  const bright = (row, bit) => g.getImageData((bit + 0.5) * block, (row + 0.5) * block, 1, 1).data[1] > 127;
  let number = 0;
  for (let bit = 0; bit < %d; bit++) {
    if (bright(0, bit) === bright(1, bit)) return -1;
    number += bright(0, bit) << bit;
  }
  return number;
}
""" % (BLOCK, BITS)  # noqa: UP031, since the script is full of braces


def film_barcode(task: Any, seed: int, episode: int, states: Mapping[str, Any], path: Path) -> None:
    """Stands in for `film_episode`: frame k says k."""
    with Film(path) as film:
        for k in range(len(states["qpos"])):
            film.add(barcode(k))


def barcode(number: int) -> np.ndarray:
    bits = np.array([number >> bit & 1 for bit in range(BITS)], dtype=np.uint8)
    rows = np.repeat(np.stack([bits, 1 - bits]), BLOCK, axis=0)
    frame = np.full((SIZE[1], SIZE[0]), 90, dtype=np.uint8)
    frame[: 2 * BLOCK] = 255 * np.repeat(rows, BLOCK, axis=1)
    frame[3 * BLOCK :, (7 * number) % SIZE[0] :] = 160  # something that moves, as in a film
    return np.repeat(frame[:, :, None], 3, axis=2)


def number(frame: np.ndarray) -> int:
    """What a frame (height, width, 3) of such a film says; -1 where the two rows do not contradict each other."""
    at = BLOCK // 2 + BLOCK * np.arange(BITS)
    first, second = (frame[BLOCK // 2 + row * BLOCK, at, 1] > 127 for row in (0, 1))
    return int((first << np.arange(BITS)).sum()) if (first != second).all() else -1
