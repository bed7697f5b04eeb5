"""Results that show themselves: a picture on demand, and by itself as the last line of a notebook's cell."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image


class Shown(ABC):
    """Base of results that have a picture."""

    @abstractmethod
    def picture(self) -> NDArray[np.floating]:
        """The picture, sRGB in [0, 1]  # [H, W, 3]"""

    def show(self) -> Image:
        """The picture as a PIL image; a notebook displays it, ``show().save("a.png")`` keeps it."""
        from PIL import Image as images

        return images.fromarray(np.rint(np.clip(self.picture(), 0, 1) * 255).astype(np.uint8))

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.show().save(buffer, format="PNG")
        return buffer.getvalue()
