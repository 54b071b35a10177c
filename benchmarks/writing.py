"""How every benchmark leaves its result and goes on with it, and leaves its pictures."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from policies.storage import write_atomically


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result as JSON, whole or not at all; folders are made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(result, indent=2) + "\n")


def kept_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a result that was written before; none if there is none."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def write_picture(path: Path, picture: Image.Image, colours: int = 256) -> None:
    """Write a picture as PNG in few colours, whole or not at all.

    That takes a third to a half of the bytes, as what is shipped should.
    """
    buffer = io.BytesIO()
    picture.convert("RGB").quantize(colours, Image.Quantize.MAXCOVERAGE).save(buffer, "PNG", optimize=True)
    write_atomically(path, buffer.getvalue())
