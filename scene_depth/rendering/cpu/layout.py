"""Names for the places in the arrays that kernels share.

Splats go through the stages in groups of 16, one a lane. Images are cut into tiles of 32 x 32 pixels, tiles into 64 blocks
of 4 x 4 pixels, one pixel a lane.
"""

from __future__ import annotations

import numpy as np

TILE = 32
BLOCK = 4
BLOCKS = 64  # blocks of a tile, row by row: block b covers rows 4 * (b // 8) and columns 4 * (b % 8)
GROUPS_A_CHUNK = 64
CHUNK = 16 * GROUPS_A_CHUNK  # splats of one task

# The constants of 3D Gaussian splatting as every implementation has them
ALPHA_MAX = np.float32(0.999)
ALPHA_MIN = np.float32(1 / 255)
TRANSMITTANCE_MIN = np.float32(1e-4)
COVARIANCE_BLUR = np.float32(0.3)  # px^2, gsplat's eps2d
LOG2_E = 1.4426950408889634
HALF_LOG2_E = np.float32(0.5 * LOG2_E)

# A projected splat: 16 floats. Its density at an offset (dx, dy) from the mean is written with u = dx - SHEAR * dy as
# opacity * 2**-(HALF_CONIC * u^2 + HALF_ROW * dy^2), which stays exact for thin splats.
RECORD = 16
MEAN_X, MEAN_Y = 0, 1  # px
HALF_CONIC = 2  # log2(e) / 2 times the inverse covariance's xx
SHEAR = 3  # covariance xy / yy
HALF_ROW = 4  # log2(e) / 2 / covariance yy
LOG2_OPACITY = 5
RED, GREEN, BLUE = 6, 7, 8  # -0.0 where the colour was negative and is clamped
DEPTH = 9  # z in the camera frame
REACH_X, REACH_Y = 10, 11  # px from the mean to where the density falls to 1/255; REACH_X is 0 for a splat out of view
TIP_Y = 12  # y offset at which the ellipse reaches its right end
CONIC_INVERSE = 13  # 1 / inverse covariance's xx
REACH_SQUARED = 14  # squared Mahalanobis distance at which the density falls to 1/255
ROW = 15  # 1 / covariance yy

# Sums over the pixels of one splat in one tile, for its gradients; v is alpha * dL/dalpha
SUM_V, SUM_V_U, SUM_V_Y, SUM_V_UU, SUM_V_UY, SUM_V_YY = 0, 1, 2, 3, 4, 5
SUM_RED, SUM_GREEN, SUM_BLUE, SUM_DEPTH = 6, 7, 8, 9
SUM_ABSOLUTE_X, SUM_ABSOLUTE_Y = 10, 11

# The camera: 24 floats
FOCAL_X, FOCAL_Y, CENTER_X, CENTER_Y = 0, 1, 2, 3
ROTATION = 4  # world to camera, 9 floats row by row
POSITION = 13  # of the camera in the world, 3 floats
LIMIT_LEFT, LIMIT_RIGHT, LIMIT_TOP, LIMIT_BOTTOM = 16, 17, 18, 19  # x/z and y/z beyond which the Jacobian stays constant
NEAR, FAR = 20, 21
WIDTH, HEIGHT = 22, 23
CAMERA = 24

# Sums over splats for the gradient of the camera
CAMERA_SUMS = 12  # dL/dROTATION row by row, then minus dL/dPOSITION
