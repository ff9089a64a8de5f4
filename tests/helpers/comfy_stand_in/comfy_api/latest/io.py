"""Stand-in of ``comfy_api.latest.io``: nodes, their schema, inputs and outputs, with the keywords of ComfyUI's."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class FolderType(StrEnum):
    input = "input"
    output = "output"
    temp = "temp"


@dataclass
class Input:
    """What goes into a node. Widgets are inputs with a default; the others are connected to outputs of other nodes."""

    io_type: ClassVar[str] = "*"
    is_widget: ClassVar[bool] = False
    id: str
    display_name: str | None = field(default=None, kw_only=True)
    optional: bool = field(default=False, kw_only=True)
    tooltip: str | None = field(default=None, kw_only=True)
    lazy: bool | None = field(default=None, kw_only=True)
    extra_dict: dict[str, Any] | None = field(default=None, kw_only=True)


@dataclass(kw_only=True)
class WidgetInput(Input):
    is_widget: ClassVar[bool] = True
    default: Any = None
    socketless: bool | None = None
    force_input: bool | None = None

    def refuses(self, value: Any) -> bool:
        """Whether ComfyUI would not run a node with this value."""
        return False


@dataclass
class Output:
    io_type: ClassVar[str] = "*"
    id: str | None = None
    display_name: str | None = field(default=None, kw_only=True)
    tooltip: str | None = field(default=None, kw_only=True)


class Image:
    class Input(Input):
        io_type = "IMAGE"

    class Output(Output):
        io_type = "IMAGE"


class Video:
    class Input(Input):
        io_type = "VIDEO"

    class Output(Output):
        io_type = "VIDEO"


class Boolean:
    @dataclass(kw_only=True)
    class Input(WidgetInput):
        io_type = "BOOLEAN"


class Combo:
    @dataclass(kw_only=True)
    class Input(WidgetInput):
        io_type = "COMBO"
        options: list[str]

        def refuses(self, value: Any) -> bool:
            return value not in self.options


@dataclass(kw_only=True)
class _Number(WidgetInput):
    min: float | None = None
    max: float | None = None
    step: float | None = None

    def refuses(self, value: Any) -> bool:
        return (self.min is not None and value < self.min) or (self.max is not None and value > self.max)


class Int:
    @dataclass(kw_only=True)
    class Input(_Number):
        io_type = "INT"
        control_after_generate: bool | None = None


class Float:
    @dataclass(kw_only=True)
    class Input(_Number):
        io_type = "FLOAT"
        round: float | None = None


class String:
    @dataclass(kw_only=True)
    class Input(WidgetInput):
        io_type = "STRING"
        multiline: bool = False
        placeholder: str | None = None

    class Output(Output):
        io_type = "STRING"


@dataclass(kw_only=True)
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    description: str = ""
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    is_output_node: bool = False

    def validate(self) -> None:
        """ComfyUI refuses nodes of which two inputs or outputs have the same id."""
        ids = [*(each.id for each in self.inputs), *(each.id for each in self.outputs)]
        if len(set(ids)) != len(ids):
            raise ValueError(f"ids are not unique: {ids}")


class NodeOutput:
    """What a node gives: its outputs in their order, and what it shows."""

    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args, self.ui = args, ui


class ComfyNode:
    """Base of nodes: classes without objects."""

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, *args: Any, **kwargs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **values: Any) -> bool | str:
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError
