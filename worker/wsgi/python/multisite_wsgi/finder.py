"""Find out what sites can share: from the cache while it is valid, else with learners.

One process, the finder, starts the learners and makes the plan from their results: if
the project zygote processed so much data itself, it would leave holes in its heap.
"""

import json
import os
import time
import traceback

from . import fork, learned, sharing_group
from .learner import Learner
from .sharing_plan import SharingPlan

_AT_ONCE = 2  # learners
_POLL_SECONDS = 0.005


class Limits:
    """Bounds the work and the time of learning."""

    def __init__(self, message):
        self.processor_seconds = message["processor_seconds"]  # of each learner
        self.seconds = message["deadline_seconds"]  # by the clock, of all learners together; the last resort
        self._deadline = time.monotonic() + self.seconds

    def is_over(self):
        return time.monotonic() > self._deadline


class Findings:
    """What the sites with these configurations can share."""

    def __init__(self, configs, without, limits):
        self._file = open(os.memfd_create("findings"), "r+b")
        zygote, pid = os.getpid(), os.fork()
        if pid == 0:
            fork.die_with(zygote)
            _find_and_exit(configs, without, limits, self._file)
        os.waitpid(pid, 0)
        found = self._read(0) or {"modules": [], "members": [], "left_out": [
            "%s: the process that plans what to share died" % config.site for config in configs]}
        self.modules = found["modules"]  # [name, origin] of each shared module
        self.members = found["members"]  # names of the sites that share them
        self.left_out = found["left_out"]  # "site: why it cannot share"
        self.others = found.get("others", [])  # names of the sites that have little in common with the members
        self.unkept = found.get("unkept", [])  # "site: why what was learned could not be saved"

    def hot(self):
        """Return the keys of the code that requests call; read anew for each call, to keep the heap small."""
        return self._read(1)["hot"]

    def close(self):
        self._file.close()

    def _read(self, line):
        self._file.seek(0)
        lines = self._file.read().decode().splitlines()
        return json.loads(lines[line]) if lines else None


def _find_and_exit(configs, without, limits, file):
    """Run as the finder: write the findings to file and exit."""
    code = 1
    try:
        records, unkept = _learn_all(configs, limits)
        left_out = ["%s: %s" % (site, record["failed"]) for site, record in records.items() if "failed" in record]
        configs = [config for config in configs if "modules" in records.get(config.site, {})]
        group = sharing_group.choose(configs, records, without)
        found = {"modules": [], "members": [config.site for config in group], "left_out": left_out, "unkept": unkept,
                 "others": [config.site for config in configs if config not in group]}
        hot = []
        if group:
            plan = SharingPlan(group, records, without)
            found["modules"] = plan.modules()
            hot = plan.hot({origin for _, origin in found["modules"]})
        file.write(json.dumps(found).encode() + b"\n" + json.dumps({"hot": hot}).encode())
        file.flush()
        code = 0
    except SystemExit:
        raise  # this is a learner, and it exits
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def _learn_all(configs, limits):
    """Return ({site: record}, ["site: why it could not be saved"...])."""
    records = {config.site: learned.load(config, limits.seconds) for config in configs}
    if len(configs) == 1 and not configs[0].learn:  # a single site has nobody to share with
        return {site: record for site, record in records.items() if record and "modules" in record}, []
    unkept = _run_learners([config for config in configs if records[config.site] is None], limits, records)
    return records, unkept


def _run_learners(waiting, limits, records):
    """Put a record of each site into records; return those that could not be saved."""
    unkept, running = [], []
    while waiting or running:
        while waiting and len(running) < _AT_ONCE and not limits.is_over():
            running.append(Learner(waiting.pop(0), limits))
        if waiting and not running:
            break
        for learner in list(running):
            if not learner.has_exited():
                continue
            running.remove(learner)
            record = records[learner.config.site] = learner.record()
            problem = learned.save(learner.config, record) if "of" in record else None
            if problem:
                unkept.append("%s: %s" % (learner.config.site, problem))
        time.sleep(_POLL_SECONDS)
    for config in waiting:
        records[config.site] = {"failed": "loading the other sites took %g s (startup_timeout)" % limits.seconds}
    return unkept
