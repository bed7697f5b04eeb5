"""Render splats from the cameras of a scene: colour, opacity and depth of one view."""

import numpy as np

import scene_depth as sd

scene = sd.read_scene("scenes/table")
splats = sd.read_splats("scenes/table/splats.spz")
image = sd.render(splats, scene.views[0].camera)

print(image)
image.show().save("render.png")
np.save("depth.npy", image.depth[0].numpy())
