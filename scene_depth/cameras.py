"""Pinhole cameras: poses, intrinsics, rays, project, unproject."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scene_depth.errors import InputError

RIGID_TOLERANCE = 1e-3  # poses in files are often written with five or six digits


@dataclass(frozen=True)
class Cameras:
    """A batch of pinhole cameras of one image size, OpenCV axes (x right, y down, z forward).

    The centre of the first pixel is at (0.5, 0.5). Poses are rigid. Precision is that of the tensors given (readers
    give float64; renderers cast).

    Attributes:
        camera_to_world: Poses, in scene units  # [C, 4, 4]
        K: Intrinsics in pixels, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]  # [C, 3, 3]
        width: Image width in pixels.
        height: Image height in pixels.

    Raises:
        InputError: If a shape is wrong, a value is not finite, a pose is not rigid or a focal length is not positive.

    Example:
        >>> import torch
        >>> import scene_depth as sd
        >>> K = torch.tensor([[[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]])
        >>> sd.Cameras(torch.eye(4)[None], K, 640, 480).resized(320, 240)
        Cameras(1 camera of 320 x 240, fx 250 fy 250 cx 160 cy 120)
    """

    camera_to_world: Tensor
    K: Tensor
    width: int
    height: int

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_poses(self.camera_to_world)
        _check_intrinsics(self.K)

    def __len__(self) -> int:
        return self.camera_to_world.shape[0]

    def __repr__(self) -> str:
        count = "1 camera" if len(self) == 1 else f"{len(self)} cameras"
        if len(self) == 0:
            return f"Cameras({count} of {self.width} x {self.height})"
        places = {"fx": (0, 0), "fy": (1, 1), "cx": (0, 2), "cy": (1, 2)}
        spans = {name: (float(self.K[:, i, j].min()), float(self.K[:, i, j].max())) for name, (i, j) in places.items()}
        words = (f"{name} {low:.6g}" if low == high else f"{name} {low:.6g} to {high:.6g}" for name, (low, high) in spans.items())
        return f"Cameras({count} of {self.width} x {self.height}, {' '.join(words)})"

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Cameras:
        """A batch of the chosen cameras; an integer gives a batch of one."""
        if isinstance(index, int):
            index = [index]
        return replace(self, camera_to_world=self.camera_to_world[index], K=self.K[index])

    @property
    def world_to_camera(self) -> Tensor:
        """Inverse poses, the ``viewmats`` of gsplat  # [C, 4, 4]"""
        rotation = self.camera_to_world[:, :3, :3].transpose(1, 2)
        translation = -(rotation @ self.camera_to_world[:, :3, 3:])
        bottom = self.camera_to_world.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(self), 1, 4)
        return torch.cat([torch.cat([rotation, translation], dim=2), bottom], dim=1)

    @property
    def centers(self) -> Tensor:
        """Camera centres in the world  # [C, 3]"""
        return self.camera_to_world[:, :3, 3]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Cameras:
        """The same cameras on another device or in another precision."""
        return replace(
            self, camera_to_world=self.camera_to_world.to(device=device, dtype=dtype), K=self.K.to(device=device, dtype=dtype)
        )

    def resized(self, width: int, height: int) -> Cameras:
        """Cameras of the same view with another number of pixels; fx, cx scale with the width, fy, cy with the height."""
        scale = self.K.new_tensor([width / self.width, height / self.height, 1.0])
        return replace(self, K=self.K * scale[:, None], width=width, height=height)

    def cropped(self, left: int, top: int, width: int, height: int) -> Cameras:
        """Cameras of a window of the image; may reach beyond it (outpainting). Depth values do not change."""
        shift = self.K.new_zeros(3, 3)
        shift[0, 2], shift[1, 2] = left, top
        return replace(self, K=self.K - shift, width=width, height=height)

    def translated(self, shift: Tensor) -> Cameras:
        """Cameras moved in the world, poses in double precision.

        Args:
            shift: In scene units  # [3]
        """
        pose = self.camera_to_world.double().clone()
        pose[:, :3, 3] += shift.to(pose)
        return replace(self, camera_to_world=pose)

    def pixel_centers(self) -> Tensor:
        """Continuous coordinates (x, y) of every pixel's centre  # [H, W, 2]"""
        x = torch.arange(self.width, dtype=self.K.dtype, device=self.K.device) + 0.5
        y = torch.arange(self.height, dtype=self.K.dtype, device=self.K.device) + 0.5
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)

    def ray_directions(self) -> Tensor:
        """World directions through every pixel, of length such that z-depth times direction reaches the surface.

        Returns:
            Directions with unit z in the camera frame  # [C, H, W, 3]
        """
        xy = self.pixel_centers()
        focal = torch.stack([self.K[:, 0, 0], self.K[:, 1, 1]], dim=-1)[:, None, None]
        center = self.K[:, None, None, :2, 2]
        in_camera = torch.nn.functional.pad((xy - center) / focal, (0, 1), value=1.0)
        return torch.einsum("cij,chwj->chwi", self.camera_to_world[:, :3, :3], in_camera)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel coordinates and z-depth of world points.

        Args:
            points: World points, the same for all cameras or one set a camera  # [N, 3] or [C, N, 3]

        Returns:
            Pixels (x, y), meaningful where the depth is positive  # [C, N, 2]
            z-depth in scene units, negative behind the camera  # [C, N]
        """
        rotation, translation = self.world_to_camera[:, :3, :3], self.world_to_camera[:, None, :3, 3]
        in_camera = points.to(rotation) @ rotation.transpose(1, 2) + translation
        depth = in_camera[..., 2]
        safe = torch.where(depth.abs() < 1e-12, torch.full_like(depth, 1e-12), depth)
        focal = torch.stack([self.K[:, 0, 0], self.K[:, 1, 1]], dim=-1)[:, None]
        return in_camera[..., :2] / safe[..., None] * focal + self.K[:, None, :2, 2], depth

    def unproject(self, depth: Tensor) -> Tensor:
        """World points of depth maps.

        Args:
            depth: z-depth in scene units  # [C, H, W]

        Returns:
            Points; the camera centre where the depth is 0  # [C, H, W, 3]
        """
        if depth.shape != (len(self), self.height, self.width):
            raise InputError("depth", f"shape {tuple(depth.shape)}", f"({len(self)}, {self.height}, {self.width})")
        return self.centers[:, None, None] + depth.to(self.K)[..., None] * self.ray_directions()

    def unproject_pixels(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """World points of some pixels, the same for all cameras: the inverse of ``project``.

        Args:
            pixels: Pixels (x, y)  # [N, 2]
            depth: Their z-depth in scene units  # [N]

        Returns:
            Points  # [C, N, 3]
        """
        focal, center = torch.stack([self.K[:, 0, 0], self.K[:, 1, 1]], dim=-1)[:, None], self.K[:, None, :2, 2]
        rays = torch.nn.functional.pad((pixels.to(self.K) - center) / focal, (0, 1), value=1.0)
        return self.centers[:, None] + depth.to(self.K)[:, None] * (rays @ self.camera_to_world[:, :3, :3].transpose(1, 2))


def concatenate_cameras(batches: Sequence[Cameras]) -> Cameras:
    """One batch of all cameras.

    Raises:
        InputError: If there is none, or if image sizes differ.
    """
    sizes = {(cameras.width, cameras.height) for cameras in batches}
    if len(sizes) != 1:
        raise InputError("cameras", f"image sizes {sorted(sizes)}", "one or more cameras of one image size")
    first = batches[0]
    return replace(
        first,
        camera_to_world=torch.cat([cameras.camera_to_world.to(first.camera_to_world) for cameras in batches]),
        K=torch.cat([cameras.K.to(first.K) for cameras in batches]),
    )


def camera_from_fov(camera_to_world: Tensor, fov_y: float, width: int, height: int) -> Cameras:
    """One or more centred cameras with square pixels.

    Args:
        camera_to_world: Poses  # [4, 4] or [C, 4, 4]
        fov_y: Vertical field of view in radians.
        width, height: Image size in pixels.
    """
    poses = camera_to_world.reshape(-1, 4, 4)
    focal = 0.5 * height / math.tan(0.5 * fov_y)
    K = poses.new_tensor([[focal, 0.0, 0.5 * width], [0.0, focal, 0.5 * height], [0.0, 0.0, 1.0]])
    return Cameras(poses, K.expand(len(poses), 3, 3).clone(), width, height)


def look_at(position: Tensor, target: Tensor, up: Tensor) -> Tensor:
    """Pose of a camera that looks at a point.

    Args:
        position, target: World points  # [3]
        up: World direction that appears upward in the image, not along the view  # [3]

    Returns:
        camera_to_world, OpenCV axes  # [4, 4]
    """
    forward = torch.nn.functional.normalize(target - position, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up.to(forward)), dim=0)
    pose = torch.eye(4, dtype=position.dtype)
    pose[:3, :3] = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=1)
    pose[:3, 3] = position
    return pose


def _check_shapes(cameras: Cameras) -> None:
    count = cameras.camera_to_world.shape[0] if cameras.camera_to_world.ndim == 3 else 0
    if tuple(cameras.camera_to_world.shape) != (count, 4, 4) or not cameras.camera_to_world.is_floating_point():
        raise InputError("camera_to_world", f"shape {tuple(cameras.camera_to_world.shape)}", "floating point [C, 4, 4]")
    if tuple(cameras.K.shape) != (count, 3, 3) or not cameras.K.is_floating_point():
        raise InputError("K", f"shape {tuple(cameras.K.shape)}", f"floating point [{count}, 3, 3], as many as poses")
    if cameras.width < 1 or cameras.height < 1:
        raise InputError("width, height", f"{cameras.width} x {cameras.height}", "at least one pixel each")


def _check_poses(poses: Tensor) -> None:
    poses = poses.detach()
    rotation = poses[:, :3, :3].double()
    rigid = torch.isfinite(poses).flatten(1).all(1)
    gram = rotation @ rotation.transpose(1, 2) - torch.eye(3, dtype=torch.float64, device=poses.device)
    rigid &= gram.abs().flatten(1).amax(1) < RIGID_TOLERANCE
    rigid &= torch.linalg.det(torch.nan_to_num(rotation)) > 0
    rigid &= (poses[:, 3] - poses.new_tensor([0.0, 0.0, 0.0, 1.0])).abs().amax(1) < RIGID_TOLERANCE
    if not bool(rigid.all()):
        index = int((~rigid).nonzero()[0])
        raise InputError(
            f"camera_to_world[{index}]",
            poses[index].tolist(),
            "a finite rigid pose: rotation without scale or mirror, last row 0 0 0 1",
        )


def _check_intrinsics(K: Tensor) -> None:
    K = K.detach()
    good = torch.isfinite(K).flatten(1).all(1) & (K[:, 0, 0] > 0) & (K[:, 1, 1] > 0)
    if not bool(good.all()):
        index = int((~good).nonzero()[0])
        raise InputError(f"K[{index}]", K[index].tolist(), "finite numbers and positive focal lengths")
