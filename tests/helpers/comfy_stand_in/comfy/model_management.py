"""Stand-in of ``comfy.model_management``: the flag that the interrupt button sets, and unloading."""

unloaded: list[str] = []
_flag = [False]


class InterruptProcessingException(BaseException):
    """Ends the run of a workflow."""


def interrupt_current_processing(value: bool = True) -> None:
    _flag[0] = value


def processing_interrupted() -> bool:
    return _flag[0]


def throw_exception_if_processing_interrupted() -> None:
    """Raises once for each time the button was pressed."""
    if _flag[0]:
        _flag[0] = False
        raise InterruptProcessingException


def unload_all_models() -> None:
    unloaded.append("all")
