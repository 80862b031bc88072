"""Groups with a completion callback: their messages are collected, and dispatched as a whole.

Dramatiq enqueues the messages of such a group one by one, after it has set up a barrier for so many
of them; that says when the group is complete.
"""

from typing import Any

from dramatiq import Message
from dramatiq.middleware import GroupCallbacks

from failsoft.api import OptionInvalidError

#: The options by which Dramatiq marks the messages of such a group.
GROUP = "group_completion_uuid"
CALLBACKS = "group_completion_callbacks"
OF_GROUPS = frozenset({GROUP, CALLBACKS})


class _Parties:
    """In place of the barrier's backend: how many messages each group has."""

    def __init__(self) -> None:
        self.of_group: dict[str, int] = {}

    def add(self, key: str, value: int, ttl: int) -> bool:
        self.of_group[key] = value
        return True


class CollectedGroups(GroupCallbacks):
    """The groups of which not all messages are there."""

    def __init__(self) -> None:
        self._parties = _Parties()
        super().__init__(self._parties)  # type: ignore[arg-type]  # only `add` of it is called
        self._messages: dict[str, list[Message[Any]]] = {}

    def collect(self, message: Message[Any]) -> list[Message[Any]] | None:
        """Add a message to its group, and return all of them if it is the last.

        Raises:
            OptionInvalidError: The group has more than one callback.
        """
        key = str(message.options[GROUP])
        if len(message.options[CALLBACKS]) != 1:
            self.forget(message)
            raise OptionInvalidError(
                "expected one completion callback of a group, got "
                f"{len(message.options[CALLBACKS])}; send the others from that one"
            )
        messages = self._messages.setdefault(key, [])
        messages.append(message)
        if len(messages) < self._parties.of_group.get(key, 0):
            return None
        self.forget(message)
        return messages

    def forget(self, message: Message[Any]) -> None:
        """Forget the group of a message."""
        key = str(message.options[GROUP])
        self._messages.pop(key, None)
        self._parties.of_group.pop(key, None)

    def after_process_message(self, broker: object, message: object, **ended: object) -> None:
        """Do nothing: the completion is a job of the group's."""
