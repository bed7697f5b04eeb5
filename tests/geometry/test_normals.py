"""Normals of depth maps against analytic surfaces."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.normals import normals_from_depth


def a_camera(width=64, height=48, fx=70.0, fy=62.0, cx=30.5, cy=26.0):
    K = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K, width, height)


def rays(camera):
    return camera.ray_directions()[0].numpy()


def plane_depth(camera, normal, offset):
    """z of n . X = offset along every ray."""
    return offset / (rays(camera) @ np.asarray(normal))


@given(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(0.1, 50))
@settings(max_examples=60)
def test_planes_are_exact(a, b, distance):
    camera = a_camera()
    normal = np.array([a, b, -1.0]) / math.sqrt(a * a + b * b + 1)
    depth = plane_depth(camera, normal, -distance)
    if depth.min() <= 0:
        return
    found = normals_from_depth(depth, camera)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to(normal, found.shape), atol=1e-5)


def test_sphere():
    camera = a_camera(320, 240, 400.0, 400.0, 160.0, 120.0)
    center, radius = np.array([0.1, -0.05, 3.0]), 1.0
    direction = rays(camera)
    b = direction @ center
    a = (direction**2).sum(-1)
    root = b * b - a * (center @ center - radius**2)
    hit = root > 0
    depth = np.where(hit, (b - np.sqrt(np.maximum(root, 0))) / a, 0)
    truth = (direction * depth[..., None] - center) / radius
    found = normals_from_depth(depth, camera)
    facing = hit & ((-truth * direction / np.linalg.norm(direction, axis=-1, keepdims=True)).sum(-1) > 0.4)
    angle = np.degrees(np.arccos(np.clip((found * truth).sum(-1)[facing], -1, 1)))
    assert np.median(angle) < 0.3
    assert angle.max() < 5
    assert (found[~hit] == 0).all()


def test_normals_face_the_camera_and_have_unit_length():
    camera = a_camera()
    depth = 2 + np.random.default_rng(0).random((48, 64))
    normals = normals_from_depth(depth, camera)
    assert ((normals * rays(camera)).sum(-1) < 0).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)


def test_an_occlusion_does_not_bend_the_normals_beside_it():
    camera = a_camera()
    depth = np.full((48, 64), 4.0)
    depth[:, 30:] = 2.0
    np.testing.assert_allclose(normals_from_depth(depth, camera), np.broadcast_to([0, 0, -1], (48, 64, 3)), atol=1e-6)


def test_only_valid_pixels_are_looked_at():
    camera = a_camera()
    depth = plane_depth(camera, [0.3, 0.1, -0.95], -3.0)
    valid = np.zeros(depth.shape, dtype=bool)
    valid[10:30, 12:40] = True
    spoiled = np.where(valid, depth, np.nan)
    found = normals_from_depth(spoiled, camera, valid)
    np.testing.assert_allclose(found[valid], normals_from_depth(depth, camera)[valid], atol=1e-5)
    assert (found[~valid] == 0).all()
    assert (normals_from_depth(np.zeros_like(depth), camera) == 0).all()


def test_a_single_row():
    found = normals_from_depth(np.full((1, 5), 2.0), a_camera(5, 1))
    np.testing.assert_allclose(found, np.broadcast_to([0, 0, -1], (1, 5, 3)), atol=1e-6)


def test_sizes_must_agree():
    with pytest.raises(InputError, match="camera"):
        normals_from_depth(np.ones((4, 5)), a_camera())
