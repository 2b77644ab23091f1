"""Reads texts that are separated by zero bytes, and says how PostgreSQL reads each, in three lines.

The tokens (`start-end:NAME`), the statements, and the kinds of their nodes: each line is empty if PostgreSQL
refuses the text there. Positions count characters, and ends are behind.
"""

import sys

import pglast
from pglast import parser


def tokens(text):
    return " ".join(f"{token.start}-{token.end + 1}:{token.name}" for token in parser.scan(text))


def statements(text):
    slices = parser.split(text, with_parser=True, only_slices=True)
    return " ".join(f"{part.start}-{part.stop}" for part in slices)


def kinds(text):
    return " ".join(kind(statement.stmt) for statement in pglast.parse_sql(text))


def kind(node):
    name = type(node).__name__
    if name == "TransactionStmt":
        return f"{name}.{node.kind.name}"
    if name == "SelectStmt" and into(node):
        return f"{name}.into"
    if name == "VariableSetStmt":
        return f"{name}.{node.kind.name}.{node.name}"
    if name == "VariableShowStmt":
        return f"{name}.{node.name}"
    return name


def into(query):
    return query.intoClause or (query.larg and into(query.larg))


def attempt(read, text):
    try:
        return read(text)
    except (parser.ParseError, UnicodeError):
        return ""


def main():
    for text in sys.stdin.buffer.read().decode().split("\0"):
        for read in (tokens, statements, kinds):
            print(attempt(read, text))


main()
