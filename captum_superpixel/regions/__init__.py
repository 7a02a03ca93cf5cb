"""Regions: from maps and masks to one ranked row per region, with how sure it is."""

from captum_superpixel.regions.ensemble import ensemble_regions
from captum_superpixel.regions.ranking import region_table, top_regions
from captum_superpixel.regions.scores import Draws, Ranking
from captum_superpixel.regions.table import Region, RegionTable

__all__ = ["Draws", "Ranking", "Region", "RegionTable", "ensemble_regions", "region_table", "top_regions"]
