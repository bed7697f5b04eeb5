"""Complete depth that has a hole; what is known comes back bit for bit."""

import numpy as np

import scene_depth as sd

view = sd.read_scene("scenes/table").views[0]
rgb, depth, hole = view.image(), view.depth(), view.mask()
prediction = sd.inpaint_depth("solver", rgb, depth, ~hole & (depth > 0), camera=view.camera)

print(prediction)
assert np.array_equal(prediction.depth[~hole & (depth > 0)], depth[~hole & (depth > 0)])
prediction.show().save("completed.png")
