"""JavaScript files that export a value: statements that make it, and none that is run.

JSON with comments, and `module.exports = {…}` with constants before it, and `apps.push({…})`.
"""

from typing import Any

from chapiteau.migrate.pm2.js_values import Conditional, Dynamic, EnvDefault, Values
from chapiteau.migrate.source import Source, Tree, unreadable

__all__ = ["Conditional", "Dynamic", "EnvDefault", "node_hint", "read_javascript"]


def node_hint(source: Source) -> str:
    """The hint for a file whose value only node itself can tell."""
    name = source.name.rpartition("/")[2]
    line = f"node -p 'JSON.stringify(require(\"./{name}\"))' > apps.json"
    return f"let node do it, where it runs: `{line}`, then import apps.json"


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
                node_hint(self.source),
            )
        return Tree(
            data=value,
            lines=self.lines,
            unread=tuple(self.unread),
            repeated=tuple(self.repeated),
        )

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
            start = self.at
            self.skip_one()
            self.look_for_changes(start, self.at)

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
                    value = Conditional(value, code)
                known.append(value)
                self.separator(")", opener)
            self.lines = kept
            self.at += 1
            return
        self.skip_one()  # the name begins a line, which ends what stands before it
        while not self.at_end(()) or self.peek().text == ",":
            self.skip_one()
        self.unread.append((first.line, self.source.text[first.start : self.peek(-1).end]))

    def look_for_changes(self, start: int, end: int) -> None:
        """In a loop, a function or a call that is passed over: does it change a known value?"""
        told: set[str] = set()
        for at in range(start, end):
            token, words = self.tokens[at], [t.text for t in self.tokens[at : at + 4]]
            name = words[2] if words[:2] == ["assign", "("] else token.text
            if not isinstance(self.names.get(name), list | dict) or name in told:
                continue
            if words[0] == "assign" or self.assigns(at):
                told.add(name)
                code = self.source.text[token.start : self.tokens[min(at + 5, end - 1)].end]
                self.unread.append((token.line, code))

    def assigns(self, at: int) -> bool:
        """`name = …`, `name.key = …`, `name[key] = …` or `name.push(…)` at a token."""
        after = at + 1
        if self.tokens[after].text == ".":
            if self.tokens[after + 1].text in ("push", "unshift", "splice"):
                return True
            after += 2
        elif self.tokens[after].text == "[":
            while self.tokens[after].text != "]" and self.tokens[after].kind != "end":
                after += 1
            after += 1
        two = [token.text for token in self.tokens[after : after + 2]]
        return two[:1] == ["="] and two[1:] != ["="] and self.tokens[at - 1].text != "."

    def exported(self) -> bool:
        for words in (["module", ".", "exports", "="], ["export", "default"], ["exports", "="]):
            if [t.text for t in self.tokens[self.at : self.at + len(words)]] == words:
                self.at += len(words)
                return True
        return False

    def constant(self) -> None:
        self.at += 1
        name = self.peek()
        if name.text == "{":
            self.picked()
            return
        if name.kind != "name" or self.peek(1).text != "=":
            return
        self.at += 2
        kept, self.lines = self.lines, {}
        self.names[name.text] = self.expression(())
        self.lines = kept

    def picked(self) -> None:
        """`const { A, B = "b", C: c } = process.env`; of anything else the names stay unknown."""
        start = self.at
        self.skip_one()
        after = [token.text for token in self.tokens[self.at : self.at + 4]]
        if after == ["=", "process", ".", "env"]:
            end, self.at = self.at + 4, start + 1
            while self.peek().text != "}":
                self.pick()
                self.separator("}", self.tokens[start])
            self.at = end

    def pick(self) -> None:
        variable = name = self.take().text
        if self.peek().text == ":":
            self.at += 1
            name = self.take().text
        default: Any = ""
        if self.peek().text == "=":
            self.at += 1
            default = self.expression((name,))
        if not isinstance(default, Dynamic):
            self.names[name] = EnvDefault(variable, default)
