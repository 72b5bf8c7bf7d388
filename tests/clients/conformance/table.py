"""docs/kms-compatibility.md: each operation and each parameter of the model, and how the broker differs, from what came
of the cases. What is above the mark in the page is written by hand; so are the notes."""

import json
import pathlib

from . import deviations, recipes, wire
from .live import Live, NotPrepared
from .model import ITEM, VALUE, dotted

FILE = pathlib.Path(__file__).parents[3] / "docs/kms-compatibility.md"
MARK = "<!-- From here on written by `UPDATE_DOCS=1 cargo test --test clients conforms`. -->\n"
# What there is to say beside the reasons in deviations.json, by operation or by parameter.
NOTES = json.loads(pathlib.Path(__file__).with_name("notes.json").read_text())

THERE, DIFFERS, UNSUPPORTED, ABSENT, BEYOND = "yes", "differs", "unsupported", "no", "beyond KMS"


def page(model, results):
    """The whole page as it ought to be."""
    by_hand = FILE.read_text().split(MARK)[0]
    rows, rows_of_list, used = [], deviations.read(), set()
    for name in model.operation_names:
        of_operation = [result for result in results if result.case.operation == name]
        rows += rows_of(model.operation_model(name), of_operation, rows_of_list, used)
    assert used == set(NOTES), f"notes.json speaks of what is not there: {set(NOTES) - used}"
    head = ["| operation | parameter | there | differs from KMS |", "|---|---|---|---|"]
    return by_hand + MARK + "\n" + "\n".join(head + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def rows_of(operation, results, rows_of_list, used):
    def note(at):
        used.update({at} & set(NOTES))
        return [NOTES[at]] if at in NOTES else []

    absent = absence_of(results)
    reasons = reasons_of(rows_of_list, [result for result in results if not result.case.path])
    plaintext = [f"The answer never has `{member}`." for name, member in never_answered() if name == operation.name]
    yield operation.name, "", absent or status(reasons), " ".join(reasons + plaintext + note(operation.name))
    for at in parameters(operation.input_shape):
        of_parameter = [result for result in results if result.problem and is_of(result.case, at)]
        reasons = [] if absent else reasons_of(rows_of_list, of_parameter) + unsupported_names(results, at)
        notes = note(f"{operation.name}.{at}")
        yield operation.name, f"`{at}`", absent or status(reasons), " ".join(reasons + notes)
    if not absent and takes_recipient_beyond_kms(operation):
        yield operation.name, "`Recipient`", BEYOND, "A key policy may demand an enclave."


def absence_of(results):
    """Why an operation is not there, when all its cases say so."""
    outcomes = {result.outcome.name for result in results if result.problem}
    if outcomes == {"UnknownOperationException"}:
        return ABSENT
    [valid] = [result.outcome.name for result in results if result.case.name == "valid"]
    return UNSUPPORTED if valid == "UnsupportedOperationException" else None


def status(reasons):
    return DIFFERS if reasons else THERE


def reasons_of(rows_of_list, results):
    """Why these deviate, each reason once."""
    rows = (deviations.row_of(rows_of_list, result.case) for result in results if result.problem)
    return list(dict.fromkeys(row.reason for row in rows))


def unsupported_names(results, at):
    """The names of the model's enum that are refused, though as the model has it."""
    refused = [result.case for result in results if result.outcome.name == "UnsupportedOperationException"]
    names = [f"`{case.value}`" for case in refused if is_of(case, at) and case.value == case.what]
    return [f"Unsupported: {', '.join(names)}."] if names else []


def never_answered():
    return [member for member, why in recipes.NOT_IN_THE_ANSWER.items() if why == "never"]


def parameters(shape, path=()):
    """The paths of all members, those of structures inside, too."""
    match shape and shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                yield dotted((*path, name))
                yield from parameters(member, (*path, name))
        case "list" if shape.member.type_name == "structure":
            yield from parameters(shape.member, (*path, ITEM))


def is_of(case, at):
    """Whether a case is about a parameter, and not about one inside that has a row of its own."""
    return case.member.removesuffix(ITEM).removesuffix(VALUE) == at


def takes_recipient_beyond_kms(operation):
    """Asked by a `Recipient` of a wrong type, which an operation that has none in the model would ignore."""
    if operation.input_shape is None or "Recipient" in operation.input_shape.members:
        return False
    try:
        # Made anew: the operation may be carried out.
        members = recipes.RECIPES[operation.name](Live())
    except NotPrepared:
        return False
    outcome = wire.send_raw(operation.name, members | {"Recipient": "text"})
    return outcome.name == "SerializationException" and "Recipient" in outcome.message
