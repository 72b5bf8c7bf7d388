"""Whether an outcome is the one that the model has: nothing is said where it is."""

import base64
import binascii
import re

from . import recipes
from .model import ITEM, VALUE

# Exceptions of every AWS service, which no service's model lists.
COMMON = {"AccessDeniedException", "SerializationException", "ValidationException"}
# Members that hold plaintext in KMS: no answer of this broker has them.
PLAINTEXT = {"Plaintext", "PrivateKeyPlaintext", "SharedSecret"}


def problem_of(case, outcome, operation):
    """What is wrong with an outcome of a case; None where all is right."""
    modelled = {shape.name for shape in operation.error_shapes} | COMMON
    if outcome.name != "success":
        if outcome.name not in modelled:
            return "is not in the model"
        if outcome.status != 400 or not outcome.message:
            return f"has status {outcome.status} and message {outcome.message!r}"
    match case.expected:
        case "success":
            return "is no success" if outcome.name != "success" else problem_of_answer(case, outcome, operation)
        case "passes":
            if "failed to satisfy constraint" in outcome.message and names(case, outcome):
                return "refuses it"
            return "cannot be read" if outcome.name == "SerializationException" else None
        case "violation":
            return problem_of_refusal(case, outcome, "ValidationException")
        case "serialization":
            return problem_of_refusal(case, outcome, "SerializationException")
        case exceptions:
            return None if outcome.name in exceptions.split("|") else f"is not {exceptions}"


def problem_of_refusal(case, outcome, exception):
    if outcome.name != exception:
        return f"is not {exception}"
    if case.path and not names(case, outcome):
        return f"does not name {case.member}"
    if case.rules and not any(rule in outcome.message for rule in case.rules):
        return f"names none of the rules {case.rules}"
    return None


def names(case, outcome):
    """Whether the message names the member: the last one of the path that has a name."""
    name = next(step for step in reversed(case.path) if step not in (ITEM, VALUE))
    return re.search(rf"\b{name}\b", outcome.message) is not None


def problem_of_answer(case, outcome, operation):
    shape, answer = operation.output_shape, outcome.members
    if shape is None:
        return None if answer == {} else f"has members, and should have none: {sorted(answer)}"
    if problem := problem_of_value(shape, answer, operation.name):
        return problem
    if case.what == "valid" and not case.path:
        absent = {name for name in shape.members if (operation.name, name) in recipes.NOT_IN_THE_ANSWER}
        if set(answer) != set(shape.members) - absent:
            return f"has the members {sorted(answer)}"
    if operation.name in recipes.NAMED_BY_ARN and ":key/" not in answer["KeyId"]:
        return f"names the key {answer['KeyId']!r}, no ARN"
    return None


def problem_of_value(shape, value, at):
    """What is wrong with a value of an answer."""
    expected = {
        "string": str, "blob": str, "boolean": bool, "integer": int, "timestamp": (int, float),
        "list": list, "map": dict, "structure": dict,
    }[shape.type_name]  # fmt: skip
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        return f"{at} is no {shape.type_name}: {value!r}"
    match shape.type_name:
        case "structure":
            if unknown := set(value) - set(shape.members):
                return f"{at} has members that the model does not: {sorted(unknown)}"
            if missing := set(shape.required_members) - set(value):
                return f"{at} lacks {sorted(missing)}"
            if plain := PLAINTEXT & set(value):
                return f"{at} has {sorted(plain)}"
            parts = [(shape.members[name], part, f"{at}.{name}") for name, part in value.items()]
        case "list":
            parts = [(shape.member, part, f"{at}[]") for part in value]
        case "map":
            parts = [(shape.value, part, f"{at}{{}}") for part in value.values()]
        case _:
            return problem_of_scalar(shape, value, at)
    return next(filter(None, (problem_of_value(*part) for part in parts)), None)


def problem_of_scalar(shape, value, at):
    if shape.type_name == "blob":
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error:
            return f"{at} is no base64"
    if (names := getattr(shape, "enum", ())) and value not in names:
        return f"{at} is none of {names}: {value!r}"
    metadata = shape.metadata
    if "pattern" in metadata and not re.fullmatch(metadata["pattern"], value):
        return f"{at} is not {metadata['pattern']}: {value!r}"
    size = value if shape.type_name == "integer" else len(value) if shape.type_name in ("string", "blob") else None
    if size is not None and not metadata.get("min", size) <= size <= metadata.get("max", size):
        return f"{at} has the size {size}"
    return None
