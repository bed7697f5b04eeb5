"""Depth completion whose network learnt to rebuild the image too, and needs no image at test time (Lu et al. 2020)."""

from scene_depth.depth.auxiliary.network import AuxiliaryInpainter, AuxiliaryNetwork, NetworkConfig, NetworkOutput

__all__ = ["AuxiliaryInpainter", "AuxiliaryNetwork", "NetworkConfig", "NetworkOutput"]
