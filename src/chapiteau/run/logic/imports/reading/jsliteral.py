"""JavaScript files that export a value: statements that make it, and none that is run.

JSON with comments, and `module.exports = {…}` with constants before it, and `apps.push({…})`.
"""

from typing import Any

from chapiteau.run.logic.imports.reading.jsvalues import Chosen, Dynamic, EnvDefault, Values
from chapiteau.run.logic.imports.reading.source import Source, Tree, unreadable

__all__ = ["Chosen", "Dynamic", "EnvDefault", "read_javascript"]


def read_javascript(source: Source) -> Tree:
    """The exported value of a JavaScript file, or the value of a JSON file, with its lines.

    Raises UsageError with the line when brackets don't close or nothing is exported.
    """
    return _Parser(source).read()


class _Parser(Values):
    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.within: list[str] = []  # the conditions around this statement
        self.unread: list[tuple[int, str]] = []  # line and code of what changes a known value

    def read(self) -> Tree:
        if self.peek().text in ("{", "["):
            return self.tree(self.expression(()))
        while self.peek().kind != "end":
            if self.exported():
                return self.tree(self.expression(()))
            self.statement()
        raise unreadable(
            self.source.name,
            "exports nothing that can be read without running it",
            "write the value as a literal: module.exports = { apps: [ … ] }",
        )

    def tree(self, value: Any) -> Tree:
        if isinstance(value, Dynamic):
            raise unreadable(
                self.source.where(self.lines.get((), 1)),
                f"the exported value would have to be computed: {value.code[:60]}",
                "write it as a literal: module.exports = { apps: [ … ] }",
            )
        return Tree(data=value, lines=self.lines, unread=tuple(self.unread))

    def statement(self) -> None:
        """One, or its first part."""
        word, after = self.peek().text, self.peek(1).text
        if word in ("const", "let", "var"):
            self.constant()
        elif word == "if" and after == "(":
            self.condition()
        elif word == "else" and after == "{":
            self.at += 2
            self.within.append("else")
        elif word == "}" and self.within:
            self.at += 1
            self.within.pop()
        elif isinstance(self.names.get(word), list | dict) and after in (".", "[", "="):
            self.change(word)
        else:
            self.skip_one()

    def condition(self) -> None:
        start = self.take().start
        self.skip_one()
        code = self.source.text[start : self.peek(-1).end]
        if self.peek().text == "{":
            self.at += 1
            self.within.append(code)

    def change(self, name: str) -> None:
        """`apps.push({…}, …)` is followed; what else changes a known value is told of."""
        first, known = self.peek(), self.names[name]
        words = [token.text for token in self.tokens[self.at : self.at + 4]]
        if words == [name, ".", "push", "("] and isinstance(known, list):
            self.at += 4
            opener, kept = self.peek(-1), self.lines
            while self.peek().text != ")" and self.peek().kind != "end":
                self.lines = {}
                value = self.member((name,), 0)
                for code in self.within:
                    value = Chosen(value, code)
                known.append(value)
                self.separator(")", opener)
            self.lines = kept
            self.at += 1
            return
        self.skip_one()  # the name begins a line, which ends what stands before it
        while not self.at_end(()) or self.peek().text == ",":
            self.skip_one()
        self.unread.append((first.line, self.source.text[first.start : self.peek(-1).end]))

    def exported(self) -> bool:
        for words in (["module", ".", "exports", "="], ["export", "default"], ["exports", "="]):
            if [t.text for t in self.tokens[self.at : self.at + len(words)]] == words:
                self.at += len(words)
                return True
        return False

    def constant(self) -> None:
        self.at += 1
        name = self.peek()
        if name.kind != "name" or self.peek(1).text != "=":
            return
        self.at += 2
        kept, self.lines = self.lines, {}
        self.names[name.text] = self.expression(())
        self.lines = kept
