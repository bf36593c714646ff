"""Choose the sites that share modules with one another.

A module is shared only by sites all of which import it by themselves, so one odd site
would take it from all others. Therefore the group begins with the two sites that have
the most in common, and another one joins only if the group does not save less with it:
what n sites share is kept once instead of n times. The sites that are left form the
next group, with a project zygote of its own.
"""

from itertools import combinations

from .sharing_plan import SharingPlan, differing, needs, value


def choose(configs, learned, without):
    """Return the configurations of the sites that share, in their order."""
    if len(configs) < 3:
        return configs
    varying = differing(configs)
    offers = [_offer(config, learned, without, varying) for config in configs]
    numbers = {}  # comparing numbers is faster
    offers = [{numbers.setdefault(part, len(numbers)) for part in offer} for offer in offers]
    group = list(max(combinations(range(len(configs)), 2), key=lambda pair: len(offers[pair[0]] & offers[pair[1]])))
    common = offers[group[0]] & offers[group[1]]
    left = [n for n in range(len(configs)) if n not in group]
    while left:
        best = max(left, key=lambda n: len(common & offers[n]))
        smaller = common & offers[best]
        if len(group) * len(smaller) < (len(group) - 1) * len(common):
            break
        left.remove(best)
        group.append(best)
        common = smaller
    return [configs[n] for n in sorted(group)]


def _offer(config, learned, without, varying):
    """Return the modules that a site could share, each with all that has to be the same in another site."""
    modules = learned[config.site]["modules"]
    offered = SharingPlan([config], learned, without).modules()
    reads = {name: varying.intersection(modules[name]["reads"]) for name, _ in offered}
    grew = any(reads.values())
    while grew:  # until each has what the modules that it imports read, too
        grew = False
        for name, found in reads.items():
            more = set().union(*[reads[dep] for dep in needs(name, modules[name]) if dep in reads]) - found
            found |= more
            grew = grew or bool(more)
    return {(name, origin) + tuple((read, value(config, read)) for read in sorted(reads[name]))
            for name, origin in offered}
