#!/usr/bin/env python3
"""Compares carat's Jinja interpreter with Python's jinja2 on random templates.

    tests/jinja_differential.py compare build/release/src/chat/jinja_render [--count 5000] [--seed 1]
    tests/jinja_differential.py freeze tests/golden/jinja/cases.jsonl [--count 400] [--seed 1]

`compare` prints each difference and fails if there is one. `freeze` writes cases with the results of jinja2, which
jinja_template_test checks where there is no Python. Needs jinja2 3.1.
"""
import argparse
import json
import random
import subprocess
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox


class GenerationTag(jinja2.ext.Extension):
    """{% generation %}: its body, in a scope of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _body(self, context, caller):
        return caller()


def environment():
    """As transformers sets it up for chat templates."""
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


ENVIRONMENT = environment()


def reference(case):
    try:
        return {"text": ENVIRONMENT.from_string(case["template"]).render(**case["data"])}
    except Exception as error:  # pylint: disable=broad-except
        return {"error": f"{type(error).__name__}: {error}"}


WORDS = ["alpha", "Beta", "gamma delta", "", " padded\t", "a,b,,c", "x\ny\n", "Ünï", "日本 語", "ß", "it's", 'say "hi"',
         "<b>&", "42", "-7", "3.5", "1e3", "camelCase words-here", "tab\there", "back\\slash", "\u00a0nb\u2003", "ǆ"]
KEYS = ["name", "Role", "content", "b", "A", "items", "type", "zeta", "n1"]
VARIABLES = ["s", "t", "n", "f", "flag", "l", "d", "users", "nothing", "missing", "m"]


class Generator:
    """Random expressions by the kind of value they should have; now and then of a wrong kind."""

    def __init__(self, rng):
        self.rng = rng
        self.macros = []
        self.locals = []

    def pick(self, *options):
        return self.rng.choice(options)

    def quoted(self, text):
        quote = self.pick('"', "'")
        escapes = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", quote: "\\" + quote}
        return quote + "".join(escapes.get(c, c) for c in text) + quote

    def value(self, depth):
        kind = self.rng.random()
        if depth <= 0 or kind < 0.55:
            return self.pick(self.rng.choice(WORDS), self.rng.randint(-20, 300), round(self.rng.uniform(-9, 9), 2),
                             True, False, None, 1e17, 0, 2.0, 123456789012)
        if kind < 0.78:
            return [self.value(depth - 1) for _ in range(self.rng.randint(0, 4))]
        return {self.rng.choice(KEYS): self.value(depth - 1) for _ in range(self.rng.randint(0, 4))}

    def data(self):
        rng = self.rng
        return {
            "s": rng.choice(WORDS), "t": rng.choice(WORDS), "n": rng.randint(-5, 9), "f": round(rng.uniform(-9, 9), 3),
            "flag": rng.random() < 0.5, "nothing": None,
            "l": [self.value(1) for _ in range(rng.randint(0, 5))],
            "d": {key: self.value(2) for key in rng.sample(KEYS, rng.randint(0, 5))},
            "m": [[rng.randint(0, 5) for _ in range(2)] for _ in range(rng.randint(0, 3))],
            "users": [{"name": rng.choice(WORDS), "n1": rng.randint(0, 3), "tags": rng.sample(WORDS, 2),
                       **({"Role": rng.choice(["user", "tool"])} if rng.random() < 0.7 else {})}
                      for _ in range(rng.randint(0, 4))],
        }

    def any(self, depth):
        if self.rng.random() < 0.08 and self.locals:
            return self.rng.choice(self.locals)
        return self.pick(self.string, self.string, self.number, self.boolean, self.sequence, self.mapping,
                         self.conditional, self.element)(depth)

    def conditional(self, depth):
        if depth <= 0:
            return self.pick(*VARIABLES)
        otherwise = f" else {self.any(depth - 1)}" if self.rng.random() < 0.8 else ""
        return f"({self.any(depth - 1)} if {self.boolean(depth - 1)}{otherwise})"

    def element(self, depth):
        if depth <= 0:
            return self.pick("l[0]", "d.name", "d['b']", "users[0].name", "missing", "l[-1]", "(d['items'] is mapping)", "(d.items is callable)", "s[0]")
        return self.pick(
            lambda: f"{self.sequence(depth - 1)}[{self.number(0)}]",
            lambda: f"{self.mapping(depth - 1)}[{self.pick('s', repr('name'), repr('b'), repr('zeta'))}]",
            lambda: f"{self.mapping(depth - 1)}.{self.rng.choice([k for k in KEYS if k != 'items'])}",
            lambda: f"{self.mapping(depth - 1)}.get({self.string(0)}, {self.any(depth - 1)})",
            lambda: f"{self.sequence(depth - 1)}|{self.pick('first', 'last', 'max', 'min')}",
            lambda: f"({self.any(depth - 1)} {self.pick('or', 'and')} {self.any(depth - 1)})",
            lambda: f"{self.any(depth - 1)}|default({self.any(depth - 1)}{self.pick('', ', true')})",
            lambda: f"{self.sequence(depth - 1)}|attr({self.string(0)})|default('-')",
        )()

    def wrong(self, depth):
        """Rarely something of any kind."""
        return self.rng.random() < 0.02 and depth > 0

    def string(self, depth):
        if self.wrong(depth):
            return self.any(depth - 1)
        if depth <= 0:
            return self.pick("s", "t", self.quoted(self.rng.choice(WORDS)), self.quoted(self.rng.choice(KEYS)))
        s = lambda: self.string(depth - 1)
        n = lambda: self.number(0)
        i = self.index
        return self.pick(
            lambda: f"({s()} + {s()})", lambda: f"({s()} ~ {self.any(depth - 1)} ~ {s()})",
            lambda: f"({s()} * {self.pick(0, 1, 2, 3, -1)})",
            lambda: f"({s()}|{self.pick('upper', 'lower', 'title', 'capitalize', 'trim', 'string', 'reverse')})",
            lambda: f"{s()}.{self.pick('upper', 'lower', 'title', 'capitalize', 'strip', 'lstrip', 'rstrip')}()",
            lambda: f"{s()}.{self.pick('strip', 'lstrip', 'rstrip', 'removeprefix', 'removesuffix')}({s()})",
            lambda: f"{s()}.replace({s()}, {s()}{self.pick('', ', 1', ', 2')})",
            lambda: f"({s()}|replace({s()}, {s()}{self.pick('', ', 1')}))",
            lambda: f"{s()}[{self.pick('', i())}:{self.pick('', i())}{self.pick('', ':', ':2', ':-1', ':-2')}]",
            lambda: f"({self.any(depth - 1)}|tojson{self.pick('', '(indent=2)', '(sort_keys=true)', '(ensure_ascii=true)')})",
            lambda: f"({self.sequence(depth - 1)}|join({self.pick('', s())}))",
            lambda: f"{s()}.join({self.sequence(depth - 1)})",
            lambda: f"({self.any(depth - 1)}|string)", lambda: f"({s()}|trim({s()}))",
            lambda: f"({s()}|indent({self.pick('', '2', '2, true', '1, false, true', s())}))",
            lambda: f"({s()}|truncate({self.rng.randint(3, 12)}{self.pick('', ', true', ', false, chr', ', leeway=0')}))"
                    .replace("chr", "'..'"),
            lambda: f"({s()}|center({self.rng.randint(0, 20)}))",
            lambda: f"{s()}.{self.pick('ljust', 'rjust', 'center')}({self.rng.randint(0, 12)}{self.pick('', ', chr')})"
                    .replace("chr", "'*'"),
            lambda: f"{s()}.zfill({self.rng.randint(0, 8)})",
            lambda: f"('%s|%s' % ({self.any(depth - 1)}, {self.any(depth - 1)}))",
            lambda: f"('%5.1f;%-6d;%+03d;%x;%%' % ({n()}, {n()}, {n()}, {self.rng.randint(0, 999)}))",
            lambda: f"('%r %8s'|format({self.any(depth - 1)}, {s()}))",
            lambda: f"'{{}}-{{0}}-{{}}'.format({s()}, {s()})" if self.rng.random() < 0.2
                    else f"'{{}}/{{{{}}}}/{{}}'.format({self.any(depth - 1)}, {s()})",
            lambda: f"{s()}.{self.pick('partition', 'rpartition')}({s()})[{self.pick(0, 1, 2)}]",
        )()

    def index(self):
        return self.pick("n", str(self.rng.randint(-6, 6)))

    def number(self, depth):
        if self.wrong(depth):
            return self.any(depth - 1)
        if depth <= 0:
            return self.pick("n", str(self.rng.randint(0, 12)), f"-{self.rng.randint(1, 3)}", "n", "2.5", "1e3", "0x1f",
                             "1_000")
        n = lambda: self.number(depth - 1)
        return self.pick(
            lambda: f"({n()} {self.pick('+', '-', '*', '/', '//', '%')} {n()})",
            lambda: f"({n()} ** {self.pick('2', '0', '3', '-1')})",
            lambda: f"-{n()}", lambda: f"({self.sequence(depth - 1)}|{self.pick('length', 'count', 'sum')})",
            lambda: f"({self.any(depth - 1)}|int{self.pick('', '(7)', '(base=16)')})",
            lambda: f"({self.any(depth - 1)}|float{self.pick('', '(7)')})",
            lambda: f"({n()}|abs)", lambda: f"({n()}|round{self.pick('', '(1)', '(2)', chr(40) + '1, chr)')})"
                    .replace("chr", "'floor'"),
            lambda: f"{self.string(depth - 1)}.{self.pick('find', 'rfind', 'count')}({self.string(0)})",
            lambda: f"{self.sequence(depth - 1)}.count({self.any(0)})", lambda: "f",
        )()

    def boolean(self, depth):
        if self.wrong(depth):
            return self.any(depth - 1)
        if depth <= 0:
            return self.pick("flag", "true", "false", "not flag", "s", "l", "d", "missing", "nothing")
        a = lambda: self.any(depth - 1)
        return self.pick(
            lambda: f"({a()} {self.pick('==', '!=')} {a()})",
            lambda: f"({self.number(depth - 1)} {self.pick('<', '<=', '>', '>=')} {self.number(depth - 1)})",
            lambda: f"({self.string(depth - 1)} {self.pick('<', '>', 'in', 'not in')} {self.string(depth - 1)})",
            lambda: f"({a()} {self.pick('in', 'not in')} {self.sequence(depth - 1)})",
            lambda: f"({self.string(0)} in {self.mapping(depth - 1)})",
            lambda: f"({self.boolean(depth - 1)} {self.pick('and', 'or')} {self.boolean(depth - 1)})",
            lambda: f"(not {self.boolean(depth - 1)})",
            lambda: f"({a()} is {self.pick('', 'not ')}" + self.pick(
                "defined", "undefined", "none", "string", "number", "mapping", "sequence", "iterable", "boolean",
                "integer", "float", "true", "false", "eq 3", "in [1, 2]", "lower", "upper", "callable",
                "sameas true") + ")",
            lambda: f"({self.number(depth - 1)} is {self.pick('odd', 'even', 'divisibleby 3', 'divisibleby(2)', 'gt 2')})",
            lambda: f"{self.string(depth - 1)}.{self.pick('startswith', 'endswith')}({self.string(0)})",
            lambda: f"{self.string(depth - 1)}.{self.pick('isupper', 'islower', 'isspace')}()",
            lambda: f"(1 < {self.number(depth - 1)} <= 5)",
        )()

    def sequence(self, depth):
        if self.wrong(depth):
            return self.any(depth - 1)
        if depth <= 0:
            return self.pick("l", "users", "m", "[]", "range(3)", "[1, 'x', none]", "(1, 2)", "range(5, 0, -2)", "s", "d")
        q = lambda: self.sequence(depth - 1)
        s = lambda: self.string(0)
        return self.pick(
            lambda: "[" + ", ".join(self.any(depth - 1) for _ in range(self.rng.randint(0, 3))) + "]",
            lambda: f"({self.any(depth - 1)}, {self.any(depth - 1)})", lambda: f"({q()} + {q()})",
            lambda: f"{q()}[{self.pick('', self.index())}:{self.pick('', self.index())}{self.pick('', ':-1', ':2')}]",
            lambda: f"({q()}|list)", lambda: f"({q()}|reverse|list)", lambda: f"({q()}|unique|list)",
            lambda: f"({q()}|sort{self.pick('', '(reverse=true)', '(case_sensitive=true)')})",
            lambda: f"(users|sort(attribute={self.pick(repr('name'), repr('n1'), repr('n1,name'), repr('tags.0'))}))",
            lambda: f"({q()}|map({self.pick(repr('upper'), repr('string'), repr('length'), repr('int'), repr('tojson'))})|list)",
            lambda: f"(users|map(attribute={self.pick(repr('name'), repr('Role'), repr('tags.1'))}{self.pick('', ', default=0')})|list)",
            lambda: f"(users|{self.pick('selectattr', 'rejectattr')}('Role'{self.pick('', ', chr', ', chr')})|list)"
                    .replace("chr", self.pick("'equalto', 'user'", "'defined'", "'in', ['tool']")),
            lambda: f"({q()}|{self.pick('select', 'reject')}{self.pick('', '(chr)')}|list)"
                    .replace("chr", self.pick("'string'", "'none'", "'ne', 1", "'number'")),
            lambda: f"({q()}|batch({self.rng.randint(1, 3)}{self.pick('', ', chr')})|list)".replace("chr", "'-'"),
            lambda: f"({q()}|slice({self.rng.randint(1, 3)}{self.pick('', ', chr')})|list)".replace("chr", "'-'"),
            lambda: f"({self.mapping(depth - 1)}|dictsort{self.pick('', '(true)', '(reverse=true)', '(false, chr)')})"
                    .replace("chr", "'value'"),
            lambda: f"({self.mapping(depth - 1)}|items|list)",
            lambda: f"{self.mapping(depth - 1)}.{self.pick('keys', 'values', 'items')}()",
            lambda: f"{self.string(depth - 1)}.{self.pick('split', 'rsplit')}({self.pick('', s(), s() + ', 1', 'none, 1')})",
            lambda: f"{self.string(depth - 1)}.splitlines({self.pick('', 'true')})",
            lambda: f"({q()} * {self.pick(0, 1, 2)})",
        )()

    def mapping(self, depth):
        if self.wrong(depth):
            return self.any(depth - 1)
        if depth <= 0:
            return self.pick("d", "d", "{}", "{'a': 1, 'B': [2]}", "users[0]")
        return self.pick(
            lambda: "{" + ", ".join(f"{self.pick(self.string(0), self.number(0))}: {self.any(depth - 1)}"
                                    for _ in range(self.rng.randint(0, 3))) + "}",
            lambda: f"dict({self.mapping(depth - 1)}, extra={self.any(depth - 1)})",
            lambda: f"dict(a={self.any(depth - 1)})", lambda: "d.copy()",
        )()

    def space(self):
        return self.rng.choice(["", "", "", " ", "\n", "\n  ", " \n", "text", "  x \n"])

    def tag(self, inside):
        return "{%" + self.pick("", "", "-", "-", "+") + f" {inside} " + self.pick("", "", "-", "-", "+") + "%}"

    def printed(self, depth):
        return "{{" + self.pick("", "", "-") + f" {self.any(depth)} " + self.pick("", "", "-") + "}}"

    def name(self):
        return self.pick("x", "y", "z", "s", "n", "l", "item")

    def body(self, depth, in_loop=False):
        parts = []
        for _ in range(self.rng.randint(1, 3)):
            parts += [self.space(), self.statement(depth, in_loop), self.space()]
        return "".join(parts)

    def loop_words(self):
        return "{{ " + self.pick("loop.index", "loop.index0", "loop.first", "loop.last", "loop.length", "loop.revindex",
                                 "loop.revindex0", "loop.previtem", "loop.nextitem", "loop.cycle('a', 'b')",
                                 "loop.changed(item)", "loop.depth", "',' if not loop.last") + " }}"

    def statement(self, depth, in_loop):
        if depth <= 0 or self.rng.random() < 0.3:
            return self.loop_words() if in_loop and self.rng.random() < 0.3 else self.printed(2)
        name = self.name()
        tag = self.tag

        def in_scope(body):
            self.locals.append(name)
            text = body()
            self.locals.pop()
            return text

        def for_loop():
            target = self.pick(name, name, f"{name}, value")
            iterable = self.sequence(2) if target == name else f"{self.mapping(1)}.items()"
            condition = f" if {self.boolean(1)}" if self.rng.random() < 0.25 else ""
            text = tag(f"for {target} in {iterable}{condition}") + in_scope(lambda: self.body(depth - 1, True))
            if self.rng.random() < 0.25:
                text += tag(f"if {self.boolean(1)}") + tag(self.pick("break", "continue")) + tag("endif") + self.space()
            if self.rng.random() < 0.25:
                text += tag("else") + self.body(depth - 1)
            return text + tag("endfor")

        def if_block():
            text = tag(f"if {self.boolean(2)}") + self.body(depth - 1, in_loop)
            if self.rng.random() < 0.4:
                text += tag(f"elif {self.boolean(2)}") + self.body(depth - 1, in_loop)
            if self.rng.random() < 0.5:
                text += tag("else") + self.body(depth - 1, in_loop)
            return text + tag("endif")

        def macro():
            macro_name = f"macro{len(self.macros)}"
            parameters = self.pick("", "a", "a, b=2", "a, b=a", "s, x='!'")
            body = self.body(depth - 1)
            extra = self.pick("", "", "{{ a }}", "{{ varargs }}", "{{ kwargs }}", "{{ caller() if caller }}", "{{ b }}")
            self.macros.append(macro_name)
            return tag(f"macro {macro_name}({parameters})") + body + extra + tag("endmacro")

        def call():
            if not self.macros:
                return self.printed(2)
            macro_name = self.rng.choice(self.macros)
            arguments = self.pick("", self.any(1), f"{self.any(1)}, {self.any(1)}", f"b={self.any(1)}", f"*{self.sequence(1)}",
                                  f"**{self.mapping(0)}", f"a={self.any(1)}")
            if self.rng.random() < 0.25:
                return tag(f"call {macro_name}({arguments})") + self.body(depth - 1) + tag("endcall")
            return "{{ " + f"{macro_name}({arguments})" + self.pick("", "|upper", "|trim") + " }}"

        def namespace():
            text = tag(f"set ns = namespace(v={self.any(1)}, w=0)")
            text += tag(f"for {name} in {self.sequence(1)}") + tag(f"set ns.v = {self.pick(name, 'ns.w', self.any(1))}")
            return text + tag("set ns.w = ns.w + 1") + tag("endfor") + "{{ ns.v }}{{ ns.w }}{{ ns.q is defined }}"

        return self.pick(
            for_loop, for_loop, if_block, if_block, macro, call, namespace,
            lambda: tag(f"set {name} = {self.any(3)}"),
            lambda: tag(f"set {name}, y = {self.pick('(1, 2)', self.sequence(2))}"),
            lambda: tag(f"set {name}{self.pick('', '|upper', '|trim|length')}") + self.body(depth - 1) + tag("endset"),
            lambda: tag(f"with {name} = {self.any(2)}, y = {name}") + in_scope(lambda: self.body(depth - 1)) + tag("endwith"),
            lambda: tag(f"filter {self.pick('upper', 'trim', 'indent(2)', 'replace(s, t)')}") + self.body(depth - 1)
            + tag("endfilter"),
            lambda: tag("generation") + self.body(depth - 1) + tag("endgeneration"),
            lambda: "{#" + self.pick("", "-", "+") + " a comment {{ s }} " + self.pick("", "-", "+") + "#}",
            lambda: tag("raw") + " {{ not }} {% run %}\n " + tag("endraw").replace("+%}", "%}"),
            lambda: "{{ " + self.name() + " }}",
        )()

    def template(self):
        depth = self.rng.randint(0, 3)
        return "".join(self.body(depth) for _ in range(self.rng.randint(1, 2))) + self.pick("", "\n", "\n\n")


def cases(count, seed):
    for number in range(count):
        generator = Generator(random.Random(f"{seed}/{number}"))
        yield {"template": generator.template(), "data": generator.data()}


# What Python prints of objects that are no data depends on addresses; such results can't be compared.
INCOMPARABLE = ("object at 0x", "<generator", "<built-in method", "<function", "<bound method", "<Macro", "<Namespace",
                "iterator at 0x")


# What carat refuses by design. The last: jinja2 folds a slice of a literal number to nothing when it compiles.
UNSUPPORTED = (" is not supported", "64 bits", "subscriptable by a slice")


def is_unsupported(found):
    return any(mark in found.get("error", "") for mark in UNSUPPORTED)


def is_comparable(expected):
    return not any(mark.lower() in expected.get("text", "").lower() for mark in INCOMPARABLE)


class Interpreter:
    """carat's interpreter as a process, started anew after a crash."""

    def __init__(self, binary):
        self.binary = binary
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def render(self, case):
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if answer:
            return json.loads(answer)
        status = self.process.wait()
        self.start()
        return {"crash": status}


def compare(arguments):
    interpreter = Interpreter(arguments.binary)
    compared = failed_alike = differences = 0
    for case in cases(arguments.count, arguments.seed):
        expected = reference(case)
        found = interpreter.render(case)
        if (not is_comparable(expected) or is_unsupported(found)) and "crash" not in found:
            continue
        compared += 1
        if "error" in expected and "error" in found:
            failed_alike += 1
        elif expected != found:
            differences += 1
            print(json.dumps({**case, "expected": expected, "found": found}, ensure_ascii=False, indent=1))
    print(f"{compared} templates compared, {failed_alike} of them fail in both, {differences} differ", file=sys.stderr)
    return 1 if differences else 0


def freeze(arguments):
    kept = 0
    with open(arguments.file, "w", encoding="utf-8") as file:
        for case in cases(1_000_000, arguments.seed):
            expected = reference(case)
            # Failures show little; a few of them do.
            is_wanted = len(expected["text"]) < 2000 if "text" in expected else kept % 8 == 7
            if not is_comparable(expected) or len(case["template"]) > 1500 or not is_wanted:
                continue
            file.write(json.dumps({**case, **expected}, ensure_ascii=False) + "\n")
            kept += 1
            if kept == arguments.count:
                return 0
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    for run, argument, count in ((compare, "binary", 5000), (freeze, "file", 400)):
        command = commands.add_parser(run.__name__)
        command.add_argument(argument)
        command.add_argument("--count", type=int, default=count)
        command.add_argument("--seed", type=int, default=1)
        command.set_defaults(run=run)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
