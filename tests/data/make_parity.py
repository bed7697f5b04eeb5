"""One tiny case of each official model, computed here without any of this package's networks.

    python tests/data/make_parity.py

writes ``parity.npz`` beside this file: inputs, noise and expected outputs. The weights are not stored: ``draw`` makes every
tensor from its name and shape, and ``write_depthlab``, ``write_depthfm`` and ``write_auxiliary`` put them into the official
layouts, which the tests load. DepthLab is composed of stock diffusers and transformers classes, with reference features as
hooks; DepthFM's U-Net is written out in plain torch with the module names of the latent diffusion code; the auxiliary network's
convolutions are sums of shifted products.
"""

from __future__ import annotations

import json
import math
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.interpolate import griddata
from torch import nn

FILE = Path(__file__).parent / "parity.npz"
SIZE = 64
SCALING = 0.18215
VAE = {
    "block_out_channels": (4, 4, 8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "latent_channels": 4,
}
UNET = {
    "sample_size": 8,
    "out_channels": 4,
    "block_out_channels": [8, 16, 16, 16],
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "cross_attention_dim": 12,
    "attention_head_dim": [2, 4, 4, 4],
    "norm_num_groups": 4,
    "use_linear_projection": True,
}
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "timestep_spacing": "leading",
}
DEPTHLAB = {"num_inference_steps": 4, "strength": 0.8, "guidance_scale": 2.0, "normalize_scale": 0.9}
HPARAMS = {
    "image_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "model_channels": 32,
    "attention_resolutions": [2, 1],
    "num_res_blocks": 1,
    "channel_mult": [1, 1, 2],
    "num_head_channels": 16,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "transformer_depth": 1,
    "context_dim": 12,
    "legacy": False,
}
DEPTHFM = {"num_inference_steps": 2, "ensemble_size": 2}
NOISING_STEP = 400
AUXILIARY = {"variant": "B+I+S", "width": 1, "norm": "batch", "depth_scale": 5.0, "relative": False, "uncertainty": True}


def draw(model: str, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor by its name: scales of norms near 1, variances positive, matrices of about unit gain, all else small."""
    values = np.random.RandomState(zlib.crc32(f"{model} {name}".encode())).standard_normal(shape)  # a stream that is frozen
    if name.endswith("running_var"):
        values = 1 + 0.5 * np.abs(values)
    elif len(shape) >= 2:
        values = values / math.sqrt(np.prod(shape[1:]))
    else:
        values = 0.1 * values + (1 if name.endswith("weight") else 0)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def drawn(model: str, module: nn.Module) -> nn.Module:
    """A module with every tensor drawn by its name, but tables of positions."""
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(draw(model, name, tuple(value.shape)))
    return module.eval().requires_grad_(False)


def write_json(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


# ---- DepthLab


def depthlab_parts() -> dict[str, nn.Module]:
    """The networks of stock classes."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    text = CLIPTextConfig(vocab_size=4, hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    text.bos_token_id, text.eos_token_id, text.pad_token_id = 0, 1, 1
    vision = CLIPVisionConfig(
        hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, patch_size=56, projection_dim=10
    )
    parts = {
        "estimation": UNet2DConditionModel(**UNET, in_channels=12),
        "reference": UNet2DConditionModel(**UNET, in_channels=4),
        "mapping": nn.Linear(10, 12),
        "vae": AutoencoderKL(**VAE),
        "text": CLIPTextModel(text),
        "vision": CLIPVisionModelWithProjection(vision),
    }
    return {name: drawn(name, part) for name, part in parts.items()}


def write_depthlab(root: Path) -> None:
    """The three folders of the official instructions."""
    parts, own, marigold = depthlab_parts(), root / "DepthLab", root / "marigold-depth-v1-0"
    own.mkdir(parents=True)
    reference = {
        key: value for key, value in parts["reference"].state_dict().items() if not key.startswith(("conv_norm", "conv_out"))
    }
    torch.save(parts["estimation"].state_dict(), own / "denoising_unet.pth")
    torch.save(reference, own / "reference_unet.pth")
    torch.save({f"mapping_layer.{key}": value for key, value in parts["mapping"].state_dict().items()}, own / "mapping_layer.pth")
    write_json(marigold / "unet/config.json", {"_class_name": "UNet2DConditionModel", "in_channels": 8, **UNET})
    write_json(marigold / "scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler", **SCHEDULER})
    parts["vae"].save_pretrained(marigold / "vae")
    parts["text"].save_pretrained(marigold / "text_encoder")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    write_json(marigold / "tokenizer/vocab.json", {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3})
    (marigold / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    write_json(marigold / "tokenizer/special_tokens_map.json", special)
    write_json(marigold / "tokenizer/tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", **special})
    parts["vision"].save_pretrained(root / "CLIP-ViT-H-14-laion2B-s32B-b79K")


@torch.no_grad()
def depthlab_reference(rgb: np.ndarray, depth: np.ndarray, known: np.ndarray, noise: torch.Tensor) -> np.ndarray:
    """Depth of the official steps: reference features, guidance of two rows, known depth blended back after every step."""
    from diffusers import DDIMScheduler

    parts, options, beta = depthlab_parts(), DEPTHLAB, DEPTHLAB["normalize_scale"]
    points, places = np.argwhere(known), np.moveaxis(np.mgrid[:SIZE, :SIZE], 0, -1)
    low, high = float(depth[known].min()), float(depth[known].max())
    normalized = (
        ((griddata(points[:, ::-1], depth[known], places[..., ::-1], "nearest") - low) / (high - low + 1e-6) - 0.5) * 2 * beta
    )
    masked = np.where(known, normalized, griddata(points, normalized[known], places, "linear", fill_value=0))

    def encoded(values: np.ndarray) -> torch.Tensor:
        image = torch.from_numpy(np.asarray(values, dtype=np.float32))
        image = image.permute(2, 0, 1) if image.ndim == 3 else image.expand(3, -1, -1)
        return parts["vae"].encode(image[None]).latent_dist.mode() * SCALING

    picture, hole = encoded(rgb / 127.5 - 1), encoded(2.0 * ~known - 1)
    start, conditions = encoded(normalized), encoded(masked)
    small = np.asarray(Image.fromarray(rgb).resize((224, 224), Image.Resampling.BICUBIC)) / 255
    small = (small - (0.48145466, 0.4578275, 0.40821073)) / (0.26862954, 0.26130258, 0.27577711)
    seen = parts["vision"](torch.from_numpy(small.astype(np.float32)).permute(2, 0, 1)[None]).image_embeds
    text = parts["text"](torch.tensor([[0, 1]])).last_hidden_state[:, :1]  # start and end of an empty text
    context = torch.cat([text, parts["mapping"](seen)[:, None]])

    stored = {}
    for name, module in parts["reference"].named_modules():
        if name.endswith("attn1"):
            module.register_forward_pre_hook(lambda _, given, name=name: stored.__setitem__(name, given[0].half().float()))
    parts["reference"](picture, 0, encoder_hidden_states=context[1:])
    for name, module in parts["estimation"].named_modules():
        if name.endswith("attn1"):
            module.forward = reading(module, stored[name])

    scheduler = DDIMScheduler(**SCHEDULER)
    scheduler.set_timesteps(options["num_inference_steps"])
    steps = scheduler.timesteps[-int(options["num_inference_steps"] * options["strength"]) :]
    unknown = F.interpolate(torch.from_numpy(~known)[None, None].float(), size=picture.shape[-2:], mode="nearest")
    latents = scheduler.add_noise(start, noise, steps[:1])
    for index, step in enumerate(steps):
        inputs = torch.cat([latents, hole, conditions], dim=1).repeat(2, 1, 1, 1)
        empty, full = parts["estimation"](inputs, step, encoder_hidden_states=context).sample.chunk(2)
        latents = scheduler.step(empty + options["guidance_scale"] * (full - empty), step, latents).prev_sample
        if index + 1 < len(steps):
            latents = unknown * latents + (1 - unknown) * scheduler.add_noise(start, noise, steps[index + 1 : index + 2])
    decoded = parts["vae"].decode(latents / SCALING).sample.mean(dim=1)[0].numpy()
    return np.maximum((decoded + beta) / (2 * beta) * (high - low) + low, 0)


def reading(attention: nn.Module, features: torch.Tensor):
    """Stock self-attention of two rows, the second of which also sees the stored features."""
    plain = attention.forward

    def forward(hidden: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        both = torch.cat([hidden[1:], features], dim=1)
        return torch.cat([plain(hidden[:1]), plain(hidden[1:], encoder_hidden_states=both)])

    return forward


# ---- DepthFM, in plain torch


class ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, embedding: int):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, outputs), nn.SiLU(), nn.Identity(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, embedding, context):
        return self.skip_connection(x) + self.out_layers(self.in_layers(x) + self.emb_layers(embedding)[..., None, None])


class Attention(nn.Module):
    official = False  # whether self-attention is scaled by the number of tokens

    def __init__(self, width: int, context: int):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(size, width, bias=False) for size in (width, context, context))
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, x, context=None):
        source, size = x if context is None else context, HPARAMS["num_head_channels"]
        projected = (self.to_q(x), self.to_k(source), self.to_v(source))
        q, k, v = (values.unflatten(-1, (-1, size)).transpose(1, 2) for values in projected)
        scale = size**-0.5
        if self.official and context is None:
            scale *= math.sqrt(math.log(x.shape[1]) / math.log(4 * x.shape[1]))
        return self.to_out((torch.softmax(scale * q @ k.transpose(2, 3), dim=-1) @ v).transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x):
        values, gate = self.proj(x).chunk(2, dim=-1)
        return values * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(GEGLU(width), nn.Identity(), nn.Linear(4 * width, width))


class TransformerBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.attn1, self.attn2, self.ff = Attention(width, width), Attention(width, HPARAMS["context_dim"]), FeedForward(width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff.net(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm, self.proj_in, self.proj_out = (
            nn.GroupNorm(32, width, eps=1e-6),
            nn.Linear(width, width),
            nn.Linear(width, width),
        )
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width)])

    def forward(self, x, embedding, context):
        tokens = self.transformer_blocks[0](self.proj_in(self.norm(x).flatten(2).transpose(1, 2)), context)
        return x + self.proj_out(tokens).transpose(1, 2).unflatten(2, x.shape[2:])


class Downsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x, embedding, context):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x, embedding, context):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Stage(nn.ModuleList):
    def forward(self, x, embedding, context):
        for layer in self:
            x = layer(x) if isinstance(layer, nn.Conv2d) else layer(x, embedding, context)
        return x


class LatentDiffusionUNet(nn.Module):
    """The U-Net of the latent diffusion code for ``HPARAMS``: its modules have the names of the official file."""

    def __init__(self) -> None:
        super().__init__()
        base, multipliers = HPARAMS["model_channels"], HPARAMS["channel_mult"]
        embedding, last = 4 * base, len(multipliers) - 1
        attends = [2**level in HPARAMS["attention_resolutions"] for level in range(last + 1)]
        self.time_embed = nn.Sequential(nn.Linear(base, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.input_blocks = nn.ModuleList([Stage([nn.Conv2d(HPARAMS["in_channels"], base, 3, padding=1)])])
        width, widths = base, [base]
        for level, multiplier in enumerate(multipliers):
            block = ResBlock(width, multiplier * base, embedding)
            width = multiplier * base
            self.input_blocks.append(Stage([block, SpatialTransformer(width)] if attends[level] else [block]))
            widths.append(width)
            if level < last:
                self.input_blocks.append(Stage([Downsample(width)]))
                widths.append(width)
        self.middle_block = Stage(
            [ResBlock(width, width, embedding), SpatialTransformer(width), ResBlock(width, width, embedding)]
        )
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(last + 1)):
            for index in range(2):
                layers = [ResBlock(width + widths.pop(), multipliers[level] * base, embedding)]
                width = multipliers[level] * base
                layers += [SpatialTransformer(width)] if attends[level] else []
                layers += [Upsample(width)] if level and index == 1 else []
                self.output_blocks.append(Stage(layers))
        self.out = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), nn.Conv2d(width, HPARAMS["out_channels"], 3, padding=1))

    def forward(self, x, time, context):
        half = HPARAMS["model_channels"] // 2
        angles = time[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1))
        kept = []
        for block in self.input_blocks:
            x = block(x, embedding, context)
            kept.append(x)
        x = self.middle_block(x, embedding, context)
        for block in self.output_blocks:
            x = block(torch.cat([x, kept.pop()], dim=1), embedding, context)
        return self.out(x)


def depthfm_parts():
    """U-Net, autoencoder and the embedding of the empty text."""
    from diffusers import AutoencoderKL

    unet, vae = drawn("depthfm", LatentDiffusionUNet()), drawn("depthfm vae", AutoencoderKL(**VAE))
    return unet, vae, draw("depthfm", "text", (1, 7, HPARAMS["context_dim"]))


def write_depthfm(root: Path) -> None:
    """``depthfm-v1.ckpt``, and the autoencoder beside it."""
    unet, vae, text = depthfm_parts()
    vae.save_pretrained(root / "vae")
    content = {
        "noising_step": NOISING_STEP,
        "empty_text_embedding": text,
        "ldm_hparams": HPARAMS,
        "state_dict": unet.state_dict(),
    }
    torch.save(content, root / "depthfm-v1.ckpt")


@torch.no_grad()
def depthfm_reference(rgb: np.ndarray, noise: torch.Tensor, official: bool) -> np.ndarray:
    """Normalised log depth of each member, by Euler steps from the noised latent of the picture  # [E, H, W]"""
    unet, vae, text = depthfm_parts()
    for module in unet.modules():
        if isinstance(module, Attention):
            module.official = official
    image = torch.from_numpy(rgb.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    picture = (vae.encode(image).latent_dist.mode() * SCALING).expand(len(noise), -1, -1, -1)
    signal = torch.sigmoid(torch.tensor(-2 * math.log(math.tan(0.5 * math.pi * NOISING_STEP / 1000) + 1e-5)))
    x, steps = signal.sqrt() * picture + (1 - signal).sqrt() * noise, DEPTHFM["num_inference_steps"]
    for index in range(steps):
        time = torch.full((len(x),), index / steps)
        x = x + unet(torch.cat([x, picture], dim=1), time, text.expand(len(x), -1, -1)) / steps
    return vae.decode(x / SCALING).sample.mean(dim=1).numpy()


# ---- The auxiliary network, with convolutions by hand


def auxiliary_state() -> dict[str, torch.Tensor]:
    """The tensors of ``AUXILIARY`` by their names in the file."""
    c, shapes = AUXILIARY["width"], {}

    def layer(name: str, weight: tuple[int, ...], channels: int) -> None:
        shapes[f"{name}.0.weight"] = weight
        shapes.update({f"{name}.1.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})

    for branch, kernel in enumerate((3, 5, 7, 9)):
        for index, (before, after) in enumerate(((1, c), (c, 2 * c), (2 * c, 4 * c), (4 * c, 8 * c))):
            layer(f"encoder.{branch}.{index}", (after, before, kernel, kernel), after)
    widths = (32 * c, 16 * c, 8 * c, 4 * c)
    for branch in ("depth_branch", "image_branch", "sharing_branch"):
        own = widths[1:] if branch == "sharing_branch" else widths
        for index, (before, after) in enumerate(pairwise(own)):
            layer(f"{branch}.{index}", (before, after, 4, 4), after)
        layer(f"{branch}.{len(own) - 1}", (4 * c, 4 * c, 3, 3), 4 * c)
    layer("depth_decoder.0", (8 * c, 2 * c, 4, 4), 2 * c)
    shapes |= {"depth_decoder.1.weight": (2, 2 * c, 3, 3), "depth_decoder.1.bias": (2,)}
    state = {name: draw("auxiliary", name, shape) for name, shape in shapes.items()}
    counts = [name.replace("running_var", "num_batches_tracked") for name in state if name.endswith("running_var")]
    return state | {name: torch.tensor(0) for name in counts}


def write_auxiliary(root: Path) -> None:
    """``auxiliary.pt``."""
    content = {"kind": "scene_depth auxiliary network", "config": AUXILIARY, "state": auxiliary_state()}
    torch.save(content, root / "auxiliary.pt")


def auxiliary_reference(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth and expected error of sparse depth, 0 = none; sides are multiples of 16  # [H, W] each"""
    state = {name: value.double().numpy() for name, value in auxiliary_state().items()}

    def convolved(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
        reach = weight.shape[2] // 2
        padded, (height, width) = np.pad(x, ((0, 0), (reach, reach), (reach, reach))), x.shape[1:]
        total = np.zeros((len(weight), -(-height // stride), -(-width // stride)))
        for i in range(weight.shape[2]):
            for j in range(weight.shape[3]):
                total += np.einsum("oc,chw->ohw", weight[:, :, i, j], padded[:, i : i + height : stride, j : j + width : stride])
        return total

    def doubled(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The transposed convolution 4 x 4 of stride 2: every cell adds its kernel, one row and column are cut off all round."""
        (_, height, width), outputs = x.shape, weight.shape[1]
        total = np.zeros((outputs, 2 * height + 2, 2 * width + 2))
        for i in range(4):
            for j in range(4):
                total[:, i : i + 2 * height : 2, j : j + 2 * width : 2] += np.einsum("co,chw->ohw", weight[:, :, i, j], x)
        return total[:, 1:-1, 1:-1]

    def phi(name: str, x: np.ndarray, stride: int = 1) -> np.ndarray:
        weight = state[f"{name}.0.weight"]
        y = doubled(x, weight) if weight.shape[2] == 4 else convolved(x, weight, stride)
        scale, shift, mean, variance = (
            state[f"{name}.1.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return np.maximum((y - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)

    unit, branches = AUXILIARY["depth_scale"], []
    for branch in range(4):
        x = depth[None].astype(np.float64) / unit
        for index in range(4):
            x = phi(f"encoder.{branch}.{index}", x, 2)
        branches.append(x)
    f0 = np.concatenate(branches)
    f_d, f_r = phi("depth_branch.0", f0), phi("image_branch.0", f0)
    f_s = f_r + f_d
    for n in range(1, 4):
        f_d, f_r, f_s = phi(f"depth_branch.{n}", f_d), phi(f"image_branch.{n}", f_r), phi(f"sharing_branch.{n - 1}", f_s)
        f_s = f_s if n == 3 else f_r + f_d + f_s
    x = phi("depth_decoder.0", np.concatenate([f_d, f_s]))
    raw = convolved(x, state["depth_decoder.1.weight"], 1) + state["depth_decoder.1.bias"][:, None, None]
    return np.logaddexp(0, raw[0]) * unit, np.exp(np.clip(raw[1], -9, 3)) * unit


# ---- The file


def view() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slanted floor with a box and a hole: picture in 8 bits, depth, known  # [64, 64]"""
    y, x = np.mgrid[:SIZE, :SIZE]
    depth = (2 + 0.011 * x + 0.023 * y - 0.5 * ((abs(x - 30) < 12) & (y > 36))).astype(np.float32)
    rgb = np.random.RandomState(1).randint(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    known = ~((np.hypot(x - 33.3, 1.2 * (y - 28.6) + 0.17 * x - 5) < 15.2) | (x - 7.1 * y > 41))
    return rgb, depth, known


def main() -> None:
    rgb, depth, known = view()
    draws = np.random.RandomState(2)
    noise = torch.from_numpy(draws.standard_normal((2, 4, SIZE // 8, SIZE // 8)).astype(np.float32))
    sparse = np.where(draws.random_sample(depth.shape) < 0.1, depth, 0)
    auxiliary, error = auxiliary_reference(sparse)
    expected = {
        "depthlab": depthlab_reference(rgb, depth, known, noise[:1]),
        "depthfm_plain": depthfm_reference(rgb, noise, official=False),
        "depthfm_official": depthfm_reference(rgb, noise, official=True),
        "auxiliary": auxiliary,
        "auxiliary_error": error,
    }
    inputs = {"rgb": rgb, "depth": depth, "known": known, "noise": noise.numpy(), "sparse": sparse}
    np.savez_compressed(FILE, **inputs, **{name: value.astype(np.float32) for name, value in expected.items()})
    print(FILE, FILE.stat().st_size)


if __name__ == "__main__":
    main()
