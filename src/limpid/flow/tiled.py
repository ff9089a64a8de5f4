"""Optical flow of large pictures in overlapping tiles, so that an estimator's memory does not grow with the picture."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from limpid.flow.estimate import FlowEstimator
from limpid.tiling.blend import Axis, Blender, Grid


@dataclass(frozen=True, kw_only=True)
class TiledFlow:
    """A `FlowEstimator` that asks another one for tile after tile and blends what it says.

    Pictures of up to ``tile_px`` along each side are one tile. In larger ones, motion that leaves a tile is not found
    by it; the blend gives the places near an edge to the neighbour.
    """

    estimator: FlowEstimator
    tile_px: int = 1280
    overlap_px: int = 256

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """``t 3 h w`` in [0, 1] twice -> ``t 2 h w`` in pixels, x first."""
        grid = self._grid(*first.shape[-2:])
        if grid.is_single:
            return self.estimator(first, second)
        blender = Blender(grid)
        for tile in range(grid.num_tiles):
            _, rows, columns = grid.slices(0, tile)
            flow = self.estimator(first[..., rows, columns], second[..., rows, columns])
            blender.add(flow[:, :, None], 0, tile)
        return blender.result()[:, :, 0]

    def _grid(self, height: int, width: int) -> Grid:
        rows, columns = (Axis.overlapping(side, self.tile_px, self.overlap_px) for side in (height, width))
        return Grid(Axis.overlapping(1, None, 0), rows, columns)
