"""From a case to the request that it is about."""

import copy
import itertools

from . import recipes, samples
from .live import Live, call
from .model import ITEM, NOTHING_CHANGED, SAMPLE, TAKEN_AWAY, VALUE


class Requests:
    """The requests of one operation."""

    def __init__(self, operation):
        self.operation, self.live = operation, Live()
        # For requests that are refused, and so leave all as it is.
        self.base = None

    def of(self, case):
        if case.key_state != "Enabled" or (case.may_succeed and case.operation in recipes.USES_UP):
            with self.live.anew():
                request = self.changed(case, recipes.RECIPES[case.operation](self.live))
                self.put_keys_into(case.key_state)
                return request
        if case.may_succeed:
            return self.changed(case, recipes.RECIPES[case.operation](self.live))
        self.base = self.base or recipes.RECIPES[case.operation](self.live)
        return self.changed(case, copy.deepcopy(self.base))

    def put_keys_into(self, state):
        for key in self.live.keys():
            if state == "Disabled":
                call("disable_key", KeyId=key)
            elif state == "PendingDeletion":
                call("schedule_key_deletion", KeyId=key)

    def changed(self, case, request):
        if case.value is NOTHING_CHANGED:
            return request
        holder, shape, walked = request, self.operation.input_shape, ()
        for step, following in itertools.pairwise(case.path):
            if following == ITEM:
                holder.setdefault(key_of(step), [])
            self.fill_in(holder, shape, walked, step)
            holder, shape, walked = holder[key_of(step)], shape_at(shape, step), (*walked, step)
        step = case.path[-1]
        if case.value is TAKEN_AWAY:
            self.fill_in(holder, shape, walked, step)
            del holder[key_of(step)]
        elif case.value is SAMPLE:
            self.fill_in(holder, shape, walked, step)
        elif step == ITEM:
            holder[:] = [case.value]
        else:
            holder[key_of(step)] = case.value
        for name in samples.INSTEAD_OF.get(step, ()):
            holder.pop(name, None)
        if case.value is SAMPLE and (together := samples.TOGETHER_WITH.get((case.operation, *case.path))):
            request |= together(self.live)
        return request

    def fill_in(self, holder, shape, walked, step):
        """Puts a valid value where nothing is."""
        if step == ITEM and not holder:
            holder.append(samples.simplest(shape.member))
        elif step == VALUE and not holder:
            holder["name"] = samples.simplest(shape.value)
        elif step not in (ITEM, VALUE) and step not in holder:
            path, member = (*walked, step), shape.members[step]
            holder[step] = samples.sample(self.operation.name, path, member, self.live)


def shape_at(shape, step):
    return shape.member if step == ITEM else shape.value if step == VALUE else shape.members[step]


def key_of(step):
    return 0 if step == ITEM else "name" if step == VALUE else step
