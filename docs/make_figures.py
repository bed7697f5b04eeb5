"""Draws the figures of the method pages from the sample scene: ``python docs/make_figures.py``. About two minutes on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import scene_depth as sd
from scene_depth.depth.harmonize import border_offsets, harmonize
from scene_depth.depth.preview import color_depth, depth_range

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/pictures"
CAPTION = 24
Picture = NDArray[Any]


def main() -> None:
    """Draws all of them."""
    scene = sd.read_scene(ROOT / "scenes/table")
    draw_seam(scene)
    draw_solver(scene)
    draw_heal()


def labelled(pictures: dict[str, Picture], name: str, scale: float = 1.0) -> None:
    """Saves pictures side by side, each under its name."""
    images = [Image.fromarray(np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)) for picture in pictures.values()]
    width, height, gap = round(images[0].width * scale), round(images[0].height * scale), 6
    images = [image.resize((width, height), Image.Resampling.LANCZOS) for image in images]
    sheet = Image.new("RGB", (len(images) * (width + gap) - gap, height + CAPTION), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, (words, image) in enumerate(zip(pictures, images, strict=True)):
        draw.text((number * (width + gap) + 2, 3), words, fill="black", font=font)
        sheet.paste(image, (number * (width + gap), CAPTION))
    sheet.save(PICTURES / name, quality=82, optimize=True)


def draw_seam(scene: sd.Scene) -> None:
    """One row of the picture: truth, a prediction with an offset, the same pasted and harmonised."""
    view = next(view for view in scene.views if view.name.endswith("frame_04.jpg"))
    empty = sd.read_scene(ROOT / "scenes/table/removed").views
    truth = next(each for each in empty if each.name.endswith("frame_04.jpg")).depth()
    depth, known = view.depth(), ~view.mask()
    predicted = sd.inpaint_depth("solver", view.image(), depth, known).depth * 1.06
    offsets = border_offsets(predicted, depth, known)
    mended = np.where(known, depth, harmonize(predicted, depth, known, offsets))
    pasted = np.where(known, depth, predicted)
    rows = np.flatnonzero((~known).any(axis=1))
    row = int(rows[-1] - 0.15 * (rows[-1] - rows[0]))
    hole = np.flatnonzero(~known[row])
    columns = np.arange(max(hole[0] - 50, 0), min(hole[-1] + 50, known.shape[1]))
    lines = {"pasted": (pasted, "#c0392b"), "harmonised": (mended, "#1f5fa8"), "truth behind the vase": (truth, "#555")}
    values = np.concatenate([line[row, columns] for line, _ in lines.values()])
    low, high = values.min(), values.max()
    x = 60 + 580 * (columns - columns[0]) / (columns[-1] - columns[0])

    def height(depths: Picture) -> Picture:
        return 30 + 190 * (depths - low) / (high - low)

    left, right = np.interp([hole[0], hole[-1]], columns, x)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 270" font-family="sans-serif" font-size="13">',
        '<rect width="680" height="270" fill="#fff"/>',
        f'<rect x="{left:.1f}" y="20" width="{right - left:.1f}" height="210" fill="#f3ecd9"/>',
        f'<text x="{(left + right) / 2:.1f}" y="248" text-anchor="middle" fill="#555">hole</text>',
        '<text x="8" y="34" fill="#555">near</text><text x="8" y="226" fill="#555">far</text>',
    ]
    for number, (name, (line, color)) in enumerate(lines.items()):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, height(line[row, columns]), strict=True))
        dashes = ' stroke-dasharray="5 4"' if name.startswith("truth") else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>')
        parts.append(f'<text x="{70 + 150 * number}" y="16" fill="{color}">{name}</text>')
    (PICTURES / "seam.svg").write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def draw_solver(scene: sd.Scene) -> None:
    """What is given, two completions, the truth."""
    view = next(view for view in scene.views if view.name.endswith("frame_08.jpg"))
    empty = sd.read_scene(ROOT / "scenes/table/removed").views
    truth = next(each for each in empty if each.name.endswith("frame_08.jpg")).depth()
    depth, known = view.depth(), ~view.mask()
    nearest, solver = (sd.inpaint_depth(name, view.image(), depth, known).depth for name in ("nearest", "solver"))
    span = depth_range(truth, truth > 0)
    given = np.where(known[..., None], color_depth(depth, *span), 0.0)
    colored = {"nearest": nearest, "solver": solver, "truth": truth}
    rows, columns = (np.flatnonzero((~known).any(axis=axis)) for axis in (1, 0))
    window = (slice(max(rows[0] - 30, 0), rows[-1] + 40), slice(columns[0] - 55, columns[-1] + 55))
    pictures = {"given": given} | {name: color_depth(each, *span) for name, each in colored.items()}
    labelled({name: picture[window] for name, picture in pictures.items()}, "solver.jpg", scale=1.5)


def draw_heal() -> None:
    """A training view before, with its unseen part, healed; and what the heal changed."""
    scene = sd.read_scene(ROOT / "scenes/table", split="train")
    splats = sd.read_splats(ROOT / "scenes/table/splats.spz")
    result = sd.heal(scene, splats, max_size=320)
    state = max(result.states, key=lambda state: state.unseen_share)
    before = sd.render(splats, state.camera).rgb[0].clamp(0, 1).numpy()
    healed = sd.render(result.splats, state.camera).rgb[0].clamp(0, 1).detach().numpy()
    labelled({"with the vase": before, "deleted; unseen in magenta": state.marked(), "healed": healed}, "unseen.jpg")
    old = result.splats.select(slice(0, len(result.splats) - result.new))
    kept = sd.render(old, state.camera).rgb[0].clamp(0, 1).detach().numpy()
    new = np.abs(healed - kept).max(axis=-1, keepdims=True)
    labelled(
        {"old splats alone, as they were": kept, "what new splats add (x 4)": np.repeat(4 * new, 3, axis=-1), "together": healed},
        "frozen.jpg",
    )


if __name__ == "__main__":
    main()
