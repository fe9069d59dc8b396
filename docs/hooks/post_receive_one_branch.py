#!/usr/bin/env python3
"""Git post-receive hook: builds exactly the plan branch that was pushed.

It asks for the plan's branches, finds the one whose name matches, and queues it. Four conditions can be set in the
environment; a push that does not meet them builds nothing:

    ONLY_COMMITTERS   names or mail addresses, separated by commas: only their commits build
    MINIMUM_COMMITS   build only when at least this many commits are new
    AFTER_HOUR        build only from this hour of the day on (17 is 5 PM)
    ONLY_WEEKDAYS     build only on these days, separated by commas (0 is Monday, 3 is Thursday)

Use as .git/hooks/post-receive:

    exec /path/to/post_receive_one_branch.py http://localhost:8085 PROJ-PLAN

The user named in BUILD_USER (password in BUILD_PASSWORD) needs to be able to read and build the plan.
"""

import base64
import datetime
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

ZERO = "0" * 40


class BuildServer:
    """The three calls that the hook needs."""

    def __init__(self, base_url, user, password):
        self.root = f"{base_url.rstrip('/')}/rest/api/latest"
        self.login = base64.b64encode(f"{user}:{password}".encode()).decode()

    def _call(self, method, path):
        request = urllib.request.Request(self.root + path, method=method)
        request.add_header("Authorization", f"Basic {self.login}")
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def branch_key(self, plan_key, branch_name):
        """The key of the enabled plan branch for a branch, or the plan's own."""
        wanted = re.sub("[^0-9a-zA-Z]+", "-", branch_name).lower()
        page = self._call("GET", f"/plan/{plan_key}/branch?max-result=1000")
        for branch in page["branches"]["branch"]:
            if branch["enabled"] and branch["shortName"].lower() == wanted:
                return branch["key"]
        return plan_key

    def queue(self, key):
        """Queues a build; returns its key."""
        return self._call("POST", f"/queue/{key}")["buildResultKey"]


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def new_commits(old, new):
    """Author names and mail addresses of the commits that are new, newest first."""
    span = [new] if old == ZERO else [f"{old}..{new}"]
    lines = git("log", "--format=%an%x00%ae", *span).splitlines()
    return [tuple(line.split("\0")) for line in lines]


def listed(name):
    return [part.strip().lower() for part in os.environ.get(name, "").split(",") if part.strip()]


def may_build(old, new, now):
    """Whether the conditions hold, and the first that does not."""
    commits = new_commits(old, new)
    committers = listed("ONLY_COMMITTERS")
    if committers and not any(part.lower() in committers for commit in commits for part in commit):
        return False, "none of the committers is listed"
    minimum = int(os.environ.get("MINIMUM_COMMITS", "0"))
    if len(commits) < minimum:
        return False, f"{len(commits)} new commits are fewer than {minimum}"
    after = os.environ.get("AFTER_HOUR")
    if after is not None and now.hour < int(after):
        return False, f"it is before {after}:00"
    days = listed("ONLY_WEEKDAYS")
    if days and str(now.weekday()) not in days:
        return False, "it is another day of the week"
    return True, ""


def main(arguments):
    if len(arguments) != 3:
        print(f"usage: {arguments[0]} BASE_URL PLAN_KEY", file=sys.stderr)
        return 2
    server = BuildServer(arguments[1], os.environ.get("BUILD_USER", ""), os.environ.get("BUILD_PASSWORD", ""))
    for line in sys.stdin:
        old, new, ref = line.split()
        if new == ZERO or not ref.startswith("refs/heads/"):
            continue
        holds, why = may_build(old, new, datetime.datetime.now())
        if not holds:
            print(f"not built: {why}")
            continue
        try:
            key = server.branch_key(arguments[2], ref[len("refs/heads/"):])
            print(f"queued {server.queue(key)}")
        except urllib.error.HTTPError as error:
            print(f"the build server refused: {error.code} {error.read().decode(errors='replace')}", file=sys.stderr)
        except OSError as error:
            print(f"the build server was not reached: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
