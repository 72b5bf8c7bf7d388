"""From the input shape of an operation to cases: a request with one thing changed, and what is to come of it."""

import dataclasses
import re

from . import samples

# The steps of a path that are no member's name: into a list, into a map.
ITEM, VALUE = "[]", "{}"
# What a case puts at its path when it puts no value there.
NOTHING_CHANGED, TAKEN_AWAY, SAMPLE = object(), object(), object()

WRONG_TYPES = {
    "string": 7,
    "blob": 7,
    "integer": "1",
    "boolean": "true",
    "timestamp": "yesterday",
    "list": {"a": "b"},
    "map": ["a"],
    "structure": "text",
}
ABSENT_KEY = "00000000-0000-4000-8000-000000000000"
ARN_OF_NO_KEY = "arn:aws:kms:us-east-1:000000000000:nothing"


@dataclasses.dataclass(frozen=True)
class Case:
    operation: str
    # Such as ("Recipient", "AttestationDocument") or ("GrantTokens", ITEM); empty for the whole request.
    path: tuple
    what: str
    # success, passes (this constraint, whatever comes then), violation, serialization, or the name of an exception.
    expected: str
    value: object = NOTHING_CHANGED
    # Of a violation: the words of each rule that the value breaks.
    rules: tuple = ()
    # Whether botocore cannot send it.
    is_raw: bool = False
    # The state that the request's keys are put into before it is sent.
    key_state: str = "Enabled"

    @property
    def member(self):
        return dotted(self.path)

    @property
    def name(self):
        return f"{self.member}: {self.what}" if self.path else self.what

    @property
    def may_succeed(self):
        return self.expected not in ("violation", "serialization")


def cases_of(operation):
    """Every case of an operation (botocore's model of it) that follows from the model alone."""
    name = operation.name
    yield Case(name, (), "valid", "success")
    yield Case(name, ("UnknownMember",), "ignored", "success", {"a": [1]}, is_raw=True)
    if operation.input_shape is not None:
        yield from of_structure(name, operation.input_shape, ())
        yield from of_exceptions(operation)


def of_exceptions(operation):
    """Exceptions of the model that one wrong member provokes."""
    exceptions = {shape.name for shape in operation.error_shapes}
    for name, shape in operation.input_shape.members.items():
        if shape.name == "KeyIdType" and "NotFoundException" in exceptions:
            yield Case(operation.name, (name,), "an absent key", "NotFoundException", ABSENT_KEY)
            expected = next(filter(exceptions.__contains__, ("InvalidArnException", "NotFoundException")))
            yield Case(operation.name, (name,), "an ARN of no key", expected, ARN_OF_NO_KEY)
        if shape.name == "MarkerType" and "InvalidMarkerException" in exceptions:
            yield Case(operation.name, (name,), "a marker of no answer", "InvalidMarkerException", "no marker")
        if shape.name == "GrantTokenList" and "InvalidGrantTokenException" in exceptions:
            yield Case(operation.name, (name,), "a token of no grant", "InvalidGrantTokenException", ["no token"])


def of_structure(operation, shape, path):
    for name, member in shape.members.items():
        at = (*path, name)
        if name in shape.required_members:
            yield Case(operation, at, "missing", "violation", TAKEN_AWAY, ("not be null",))
        elif at == ("DryRun",):
            yield Case(operation, at, "true", "DryRunOperationException", True)
            yield Case(operation, at, "false", "success", False)
        elif name != "Marker" or (operation, *at) in samples.BY_PATH:
            yield Case(operation, at, "valid", samples.EXPECTED.get((operation, *at), "success"), SAMPLE)
        yield from of_value(operation, member, at)


def of_value(operation, shape, at):
    """The constraints of the value at a path, and of all that is in it."""
    kind, metadata, names = shape.type_name, shape.metadata, getattr(shape, "enum", ())
    yield Case(operation, at, f"no {kind}", "serialization", WRONG_TYPES[kind], is_raw=True)
    if kind == "blob":
        yield Case(operation, at, "no base64", "serialization", "no base64!", is_raw=True)
    elif kind == "structure":
        yield from of_structure(operation, shape, at)
    elif kind == "list":
        yield from of_value(operation, shape.member, (*at, ITEM))
    elif kind == "map":
        yield from of_value(operation, shape.value, (*at, VALUE))
    for name in names:
        yield Case(operation, at, str(name), "passes", name)
    if names:
        yield Case(operation, at, "no name of the enum", "violation", "NO_SUCH_NAME", ("enum value set",))
    if "pattern" in metadata:
        value = samples.outside_of_pattern(shape)
        yield Case(operation, at, "outside of the pattern", "violation", value, rules_broken(shape, value))
    for bound, step, beyond in (("min", -1, "less"), ("max", 1, "more")):
        if bound not in metadata:
            continue
        limit = metadata[bound]
        if (value := samples.of_size(shape, limit)) is not None:
            yield Case(operation, at, f"{bound} {limit}", "passes", value)
        if kind == "integer" or limit + step >= 0:
            value = samples.of_size(shape, limit + step, must_match=False)
            yield Case(operation, at, f"{beyond} than {limit}", "violation", value, rules_broken(shape, value))


def rules_broken(shape, value):
    """The words of AWS for each constraint of `shape` that `value` breaks."""
    metadata, rules = shape.metadata, []
    size, noun = (value, "value") if shape.type_name == "integer" else (len(value), "length")
    if size < metadata.get("min", size):
        rules.append(f"{noun} greater than or equal to {metadata['min']}")
    if size > metadata.get("max", size):
        rules.append(f"{noun} less than or equal to {metadata['max']}")
    if "pattern" in metadata and not re.fullmatch(metadata["pattern"], value):
        rules.append("satisfy regular expression pattern")
    assert rules, (shape, value)
    return tuple(rules)


def dotted(path):
    text = ""
    for step in path:
        text += step if step in (ITEM, VALUE) or not text else f".{step}"
    return text
