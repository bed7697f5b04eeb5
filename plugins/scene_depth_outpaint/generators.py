"""What invents the colours of new views, and the first picture from a text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.color.controlnet import not_loaded
from scene_depth.color.protocol import ImageInpainter, inpaint_image
from scene_depth.color.registry import load_image_inpainter
from scene_depth.errors import InputError
from scene_depth.io.images import image_size, read_image
from scene_depth.options import split_options

GREY = 0.5  # colour of new surfaces where nothing invents one


@dataclass(frozen=True)
class NoGenerator:
    """Geometry only: new surfaces are grey."""

    name = "none"


@dataclass(frozen=True)
class Pictures:
    """Pictures that are made elsewhere: of step 3 the file ``003.png``.

    Attributes:
        folder: Where they lie, or will.
    """

    folder: Path
    name = "pictures"

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError("folder of pictures", "a file", "a folder with 001.png and so on", file=self.folder)

    def path(self, index: int) -> Path:
        """The file of a step."""
        return self.folder / f"{index:03d}.png"

    def check(self, index: int, width: int, height: int) -> None:
        """Looks at the pictures of a step and of those after it that are there.

        Raises:
            InputError: If one has another size, or that of the step is missing where later ones are there.
        """
        later = sorted(int(path.stem) for path in self.folder.glob("*.png") if path.stem.isdigit() and int(path.stem) > index)
        for number in [index, *later]:
            path = self.path(number)
            if path.exists() and (size := image_size(path)) != (width, height):
                raise InputError("picture size", f"{size[0]} x {size[1]}", f"{width} x {height}, as the start", file=path)
        if later and not self.path(index).exists():
            found = f"missing, while {self.path(later[0]).name} is there"
            raise InputError("picture", found, "the pictures of all steps up to the last one", file=self.path(index))


Generator = NoGenerator | Pictures | ImageInpainter


def load_generator(color: str | Callable[..., Any]) -> Generator:
    """Gives what invents colours.

    Args:
        color: "none"; "pictures[folder=DIR]"; else an image inpainter as ``load_image_inpainter`` takes.

    Raises:
        InputError: If there is none of that name.
    """
    generator: Generator
    if isinstance(color, NoGenerator | Pictures):
        generator = color
    elif isinstance(color, str) and split_options(color)[0] in ("none", "pictures"):
        name, options = split_options(color)
        needed = [] if name == "none" else ["folder"]
        if list(options) != needed:
            found = ", ".join(sorted(options)) or "none"
            raise InputError(f"options of {name}", found, "folder=DIR" if needed else "no options")
        generator = NoGenerator() if name == "none" else Pictures(Path(str(options["folder"])))
    else:
        generator = load_image_inpainter(color)
    return generator


def generator_name(generator: Generator) -> str:
    """The name that reports give a generator."""
    return getattr(generator, "name", None) or getattr(generator, "__name__", None) or type(generator).__name__


def takes_prompt(generator: Generator) -> bool:
    """Whether a generator can be asked for something."""
    return not isinstance(generator, NoGenerator | Pictures) and "prompt" in inspect.signature(generator).parameters


def check_prompts(generator: Generator, prompts: Iterable[str]) -> None:
    """Raises InputError if something is asked of a generator that takes no text."""
    prompt = next((text for text in prompts if text), None)
    if prompt is not None and not takes_prompt(generator):
        accepted = "a generator that takes one, as --color diffusion"
        raise InputError("prompt", f"{prompt!r}, which the generator {generator_name(generator)} does not take", accepted)


def guided_by_depth(generator: Generator) -> bool:
    """Whether a generator needs the depth before it makes the picture, as one with a ControlNet does."""
    return getattr(generator, "controlnet", None) is not None


def make_picture(
    generator: Generator,
    rgb: Picture,
    known: Mask,
    *,
    index: int,
    camera: Cameras,
    prompt: str,
    seed: int,
    depth: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8] | None:
    """Completes the picture of a step; known pixels stay as they are.

    Args:
        generator: What invents the colours.
        rgb: Known colours, sRGB in [0, 1]  # [H, W, 3]
        known: Where they are known  # [H, W]
        index: Number of the step.
        camera: Its camera.
        prompt: What should be seen.
        seed: Seed of all random choices.
        depth: A first guess of the complete depth, for generators that follow one  # [H, W]

    Returns:
        The picture in 8 bits; None if it is to be made elsewhere and is not there yet  # [H, W, 3]
    """
    if known.all():
        whole = rgb
    elif isinstance(generator, NoGenerator):
        whole = np.where(known[..., None], rgb, np.float32(GREY))
    elif isinstance(generator, Pictures):
        generator.check(index, camera.width, camera.height)
        if not generator.path(index).exists():
            return None
        whole = np.where(known[..., None], rgb, read_image(generator.path(index)))
    else:
        whole = inpaint_image(generator, rgb, ~known, depth=depth, camera=camera, seed=seed, prompt=prompt or None)
    return np.rint(np.clip(whole, 0, 1) * 255).astype(np.uint8)


def picture_of_prompt(model: str, prompt: str, size: int, seed: int, device: str = "cpu") -> NDArray[np.uint8]:
    """A square picture of a text, by a text-to-image pipeline of diffusers.

    Args:
        model: Local folder or hub id of the pipeline; nothing is downloaded.
        prompt: The text.
        size: Pixels of its side, a multiple of 8.
        seed: Seed of all random choices.
        device: "cpu" or "cuda".

    Raises:
        InputError: If diffusers or the weights are not there, or the size is no multiple of 8.
    """
    if size < 8 or size % 8:
        raise InputError("size", size, "a multiple of 8 pixels")
    try:
        import torch
        from diffusers import AutoPipelineForText2Image
    except ImportError as error:
        raise InputError("package diffusers", "not installed", "", hint="pip install 'scene-depth[diffusion]'") from error
    try:
        loader: Any = AutoPipelineForText2Image  # diffusers does not annotate its loading
        pipeline = loader.from_pretrained(model, local_files_only=True).to(device)
    except (OSError, ValueError) as error:
        accepted = "a local folder, or the id of a text-to-image pipeline in the hub's cache"
        raise InputError("text-to-image model", not_loaded(model, error), accepted) from error
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        prompt=prompt, height=size, width=size, generator=torch.Generator(device).manual_seed(seed), output_type="np"
    ).images[0]
    picture: NDArray[np.uint8] = np.rint(np.clip(np.nan_to_num(made), 0, 1) * 255).astype(np.uint8)
    return picture
