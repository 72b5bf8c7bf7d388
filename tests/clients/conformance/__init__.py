"""Holds the broker against the service model that botocore ships, operation by operation and constraint by constraint.

- `model`: from an input shape to cases, a request with one thing changed and the outcome that the model has for it
- `samples`: values that are valid for a shape
- `recipes`: for each operation a request that succeeds, made from what is there
- `states`: what an operation answers for a key that is disabled or pending deletion
- `wire`: how a request gets to the broker
- `verdict`: whether an outcome is the one that was expected
- `table`: docs/kms-compatibility.md, from all outcomes
- `suite`: the test

What differs on purpose, or is not there yet, stands in `deviations.json` with its reason.
"""
