"""What the last answer to a kind of request looked like."""

__all__ = ["Memo"]


class Memo:
    """The head of the answer before, and what it said.

    Answers of one endpoint mostly differ in their bodies only: a head that is the same, byte for
    byte, need not be read again. `total` is the length of head, empty line and body.
    """

    __slots__ = ("head", "skip", "start", "status", "total", "usual")

    def __init__(self) -> None:
        self.start = b"\0"  # with the empty line; no answer begins with this
        self.skip = 1  # length of that
        self.head = b""
        self.total = -1
        self.status = 0
        self.usual = False  # nothing in the head asks for more than to be counted

    def learn(self, head: bytes, status: int, length: int) -> None:
        """An answer that was whole in one read, on a connection that stays open."""
        self.start = head + b"\r\n"
        self.skip = len(head) + 2
        self.head = head
        self.total = len(head) + 2 + length
        self.status = status
        self.usual = status < 300 and b"\nset-cookie:" not in head.lower()
