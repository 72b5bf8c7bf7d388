"""The list of what differs from the model, `deviations.json`, and whether it is true."""

import dataclasses
import fnmatch
import json
import pathlib

from .model import Case
from .wire import Outcome

FILE = pathlib.Path(__file__).with_name("deviations.json")


@dataclasses.dataclass(frozen=True)
class Result:
    case: Case
    outcome: Outcome
    # What is wrong; None where all is as the model has it.
    problem: str


@dataclasses.dataclass(frozen=True)
class Row:
    """Cases that all end in `does`: by shell patterns, and by what the model expects of them, where that is given. The
    first row that matches a case is the one that judges it."""

    operations: list
    cases: list
    # `success`, the name of an exception, or `not prepared`.
    does: str
    reason: str
    expected: list = ()

    def matches(self, case):
        # Brackets stand for themselves: they are part of a member's path.
        cases = (pattern.replace("[", "[[]") for pattern in self.cases)
        return (
            any(fnmatch.fnmatchcase(case.operation, pattern) for pattern in self.operations)
            and any(fnmatch.fnmatchcase(case.name, pattern) for pattern in cases)
            and (not self.expected or case.expected in self.expected)
        )


def read():
    return [Row(**row) for row in json.loads(FILE.read_text())]


def row_of(rows, case):
    return next((row for row in rows if row.matches(case)), None)


def held_against_the_list(results):
    """What deviates and is not listed so, and the rows of the list of which a case, or every case, is not true."""
    rows = read()
    true, untrue, unlisted = [0] * len(rows), [0] * len(rows), []
    for result in results:
        case, outcome = result.case, result.outcome
        index = next((index for index, row in enumerate(rows) if row.matches(case)), None)
        is_as_listed = index is not None and result.problem is not None and outcome.name == rows[index].does
        if index is not None:
            (true if is_as_listed else untrue)[index] += 1
        if result.problem is not None and not is_as_listed:
            message = f"{outcome.name} ({outcome.message:.300})"
            unlisted.append(f"{case.operation}, {case.name}: {message} {result.problem}")
    counts = zip(rows, true, untrue, strict=True)
    return unlisted, [f"{row}: {no} cases are not so" for row, yes, no in counts if no or not yes]
