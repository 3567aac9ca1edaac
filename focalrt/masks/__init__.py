"""Masks in the formats of the field: runs to and from polygons, run-length codes and id maps."""

from .coco import coco_annotation, from_coco, to_coco, to_coco_counts
from .cvat import from_cvat, to_cvat
from .id_map import from_id_map, to_id_map
from .label_studio import from_label_studio, to_label_studio
from .polygons import Polygon, from_polygons, to_polygons

__all__ = [
    "Polygon",
    "coco_annotation",
    "from_coco",
    "from_cvat",
    "from_id_map",
    "from_label_studio",
    "from_polygons",
    "to_coco",
    "to_coco_counts",
    "to_cvat",
    "to_id_map",
    "to_label_studio",
    "to_polygons",
]
