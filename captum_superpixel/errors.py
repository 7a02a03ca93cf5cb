"""The error that means: the user's input is at fault, and here is what to do about it."""

__all__ = ["InputError"]


class InputError(ValueError):
    """What the user passed cannot be used; the message is one line that says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
