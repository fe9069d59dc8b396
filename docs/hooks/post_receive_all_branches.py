#!/usr/bin/env python3
"""Git post-receive hook: tells Madake (or Bamboo) that something was pushed.

Madake then looks at the plan and all of its plan branches and builds those that changed.

Use as .git/hooks/post-receive:

    exec /path/to/post_receive_all_branches.py http://localhost:8085 PROJ-PLAN

The user named in BUILD_USER (password in BUILD_PASSWORD) needs to be able to read the plan. Without them the call is
made without a login, which works where the plan lets everybody read it. A push is never refused by this hook.
"""

import base64
import os
import sys
import urllib.error
import urllib.parse
import urllib.request


def call(base_url, build_key, user=None, password=None, timeout=10):
    """Asks for change detection of a plan; returns the HTTP status."""
    query = urllib.parse.urlencode({"buildKey": build_key})
    request = urllib.request.Request(f"{base_url.rstrip('/')}/api/rest/updateAndBuild.action?{query}")
    if user:
        login = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.status


def main(arguments):
    if len(arguments) != 3:
        print(f"usage: {arguments[0]} BASE_URL PLAN_KEY", file=sys.stderr)
        return 2
    try:
        call(arguments[1], arguments[2], os.environ.get("BUILD_USER"), os.environ.get("BUILD_PASSWORD"))
    except urllib.error.HTTPError as error:
        print(f"the build server refused: {error.code} {error.read().decode(errors='replace')}", file=sys.stderr)
    except OSError as error:
        print(f"the build server was not reached: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
