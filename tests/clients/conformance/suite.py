"""Sends every case, prints how many of them came out as the model has it, and holds the others against the list."""

import difflib
import os
import unittest

from . import deviations, states, table, wire
from .live import CLIENT, NotPrepared
from .model import cases_of
from .requests import Requests
from .verdict import problem_of

MODEL = CLIENT.meta.service_model


class Conformance(unittest.TestCase):
    def test_every_operation_and_every_constraint_of_the_model(self):
        results = [result for operation in MODEL.operation_names for result in run(operation)]
        conforming = sum(result.problem is None for result in results)
        deviating = len(results) - conforming
        print(f"\nconformance: {conforming} of {len(results)} cases are as the model has them, {deviating} deviate")
        unlisted, untrue = deviations.held_against_the_list(results)
        if unlisted or untrue:
            titles = ("deviate, and deviations.json does not say so:", "not true any more in deviations.json:")
            self.fail("\n".join((titles[0], *unlisted, titles[1], *untrue)))
        written, expected = table.FILE.read_text(), table.page(MODEL, results)
        if written != expected and os.environ.get("UPDATE_DOCS") == "1":
            table.FILE.write_text(expected)
        elif written != expected:
            pages = (written.splitlines(), expected.splitlines())
            difference = difflib.unified_diff(*pages, "committed", "true", lineterm="")
            self.fail("\n".join((f"{table.FILE} is not true any more: run with UPDATE_DOCS=1", *difference)))


def run(name):
    """Each case of an operation with its outcome and what is wrong with it."""
    operation = MODEL.operation_model(name)
    requests = Requests(operation)
    answer_to_nothing = wire.send_raw(name, {})
    is_there = answer_to_nothing.name != "UnknownOperationException"
    for case in [*cases_of(operation), *states.cases_of(name)]:
        try:
            outcome = wire.send(name, requests.of(case), case.is_raw) if is_there else answer_to_nothing
        except NotPrepared as error:
            outcome = wire.Outcome("not prepared", str(error))
        yield deviations.Result(case, outcome, problem_of(case, outcome, operation))
