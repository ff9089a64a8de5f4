"""Stand-in of ``comfy.utils``: the progress bar of a node, which ends an interrupted run where it is told something."""

from comfy import model_management

told: list[tuple[int, int]] = []
"""All that bars were told: value and total."""


class ProgressBar:
    def __init__(self, total: int, node_id: str | None = None) -> None:
        self.total = total

    def update_absolute(self, value: int, total: int | None = None, preview: object = None) -> None:
        told.append((min(value, total or self.total), total or self.total))
        model_management.throw_exception_if_processing_interrupted()
