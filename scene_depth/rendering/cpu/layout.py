"""Names for the places in the arrays that kernels share.

Splats go through the stages in groups of 16, one a lane. Images are cut into tiles of 32 x 32 pixels, tiles into 64 blocks
of 4 x 4 pixels, one pixel a lane.
"""

from __future__ import annotations

import math

import numpy as np

TILE = 32
BLOCK = 4
BLOCKS = 64  # blocks of a tile, row by row: block b covers rows 4 * (b // 8) and columns 4 * (b % 8)
GROUPS_A_CHUNK = 64
CHUNK = 16 * GROUPS_A_CHUNK  # splats of one task

# The constants of 3D Gaussian splatting as every implementation has them
ALPHA_MAX = np.float32(0.999)
LOG2_ALPHA_MIN = np.float32(math.log2(1 / 255))
TRANSMITTANCE_MIN = np.float32(1e-4)
COVARIANCE_BLUR = np.float32(0.3)  # px^2, gsplat's eps2d
LOG2_E = 1.4426950408889634
HALF_LOG2_E = np.float32(0.5 * LOG2_E)

# A projected splat: 16 floats. Its density at an offset (dx, dy) from the mean is opacity * 2**-(v^2 + w^2) with
# v = ACROSS * dx - SLANT * dy and w = DOWN * dy: a triangular root of the inverse covariance, exact for thin splats too.
RECORD = 16
MEAN_X, MEAN_Y = 0, 1  # px
ACROSS = 2  # root of log2(e) / 2 times the inverse covariance's xx, in 1/px
SLANT = 3  # ACROSS times SHEAR
DOWN = 4  # root of log2(e) / 2 / covariance yy, in 1/px
LOG2_OPACITY = 5
RED, GREEN, BLUE = 6, 7, 8
DEPTH = 9  # z in the camera frame
SHEAR = 10  # covariance xy / yy
REACH_Y = 11  # px from the mean down to where the density falls to 1/255
TIP_Y = 12  # y offset at which the ellipse of that density reaches its right end
CONIC_INVERSE = 13  # 1 / inverse covariance's xx
REACH_SQUARED = 14  # squared Mahalanobis distance at which the density falls to 1/255
ROW = 15  # 1 / covariance yy

# The same beside a tile: v = ACROSS * x - SLANT * y + START_V and w = DOWN * y + START_W with x and y the column and row
# of a pixel in the tile, and the number of the entry in the tile's list, from 1.
START_V, START_W = MEAN_X, MEAN_Y
NUMBER = SHEAR

# Flags of a projected splat, by bit
VISIBLE = 0
RED_FREE, GREEN_FREE, BLUE_FREE = 1, 2, 3  # the colour was not clamped

# Sums over the pixels of one splat in one tile, for its gradients: of g = alpha * dL/dalpha times powers of v and w
SUM, SUM_V, SUM_W, SUM_VV, SUM_VW, SUM_WW = 0, 1, 2, 3, 4, 5
SUM_RED, SUM_GREEN, SUM_BLUE, SUM_DEPTH = 6, 7, 8, 9
SUM_ABSOLUTE_X, SUM_ABSOLUTE_Y = 10, 11

# The camera: 26 floats
FOCAL_X, FOCAL_Y, CENTER_X, CENTER_Y = 0, 1, 2, 3
ROTATION = 4  # world to camera, 9 floats row by row
POSITION = 13  # of the camera in the world, 3 floats
LIMIT_LEFT, LIMIT_RIGHT, LIMIT_TOP, LIMIT_BOTTOM = 16, 17, 18, 19  # x/z and y/z beyond which the Jacobian stays constant
NEAR, FAR = 20, 21
LEFT, TOP, RIGHT, BOTTOM = 22, 23, 24, 25  # the part of the picture that is drawn, in pixels; its tiles begin at LEFT, TOP
CAMERA = 26

# Sums over splats for the gradient of the camera
CAMERA_SUMS = 12  # dL/dROTATION row by row, then minus dL/dPOSITION
