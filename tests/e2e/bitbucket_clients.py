"""Drives a server through two libraries that scripts for Bitbucket are written with.

Prints one JSON object with what they saw. Arguments come as environment variables: MADAKE_URL, MADAKE_PASSWORD,
RECEIVER (an address to be told), TIP (the newest commit of main).
"""

import json
import os

import stashy
from atlassian import Bitbucket
from atlassian.bitbucket import Cloud

URL, PASSWORD = os.environ["MADAKE_URL"], os.environ["MADAKE_PASSWORD"]
RECEIVER, TIP = os.environ["RECEIVER"], os.environ["TIP"]
HOOK = "com.atlassian.stash.plugin.stash-web-post-receive-hooks-plugin:postReceiveHook"
seen = {}

# atlassian-python-api, for Bitbucket Server.
server = Bitbucket(url=URL, username="admin", password=PASSWORD)
made = server.create_webhook(
    "PROJ", "app", "Build", ["repo:refs_changed"], RECEIVER + "/webhook", True, secret="s3cret"
)
server.update_webhook("PROJ", "app", made["id"], name="Renamed", url=RECEIVER + "/webhook")
seen["webhooks"] = [one["name"] for one in server.get_webhooks("PROJ", "app")]
seen["commits"] = [one["id"] for one in server.get_commits("PROJ", "app", limit=1)]
seen["changed"] = [
    one["path"]["toString"] for one in server.get_commit_changes("PROJ", "app", commit_id=TIP)["values"]
]
seen["commit"] = server.get_commit_info("PROJ", "app", TIP)["message"]
seen["changelog"] = [one["id"] for one in server.get_changelog("PROJ", "app", "main", "v1")]
seen["branches"] = [one["displayId"] for one in server.get_branches("PROJ", "app")]
seen["default_branch"] = server.get_default_branch("PROJ", "app")["id"]
seen["tags"] = [one["displayId"] for one in server.get_tags("PROJ", "app")]
seen["files"] = list(server.get_file_list("PROJ", "app", query="main", limit=1))
content = server.get_content_of_file("PROJ", "app", "src/package.json", at="v1")
seen["content"] = content.decode() if isinstance(content, bytes) else content
seen["repository"] = server.get_repo("PROJ", "app")["slug"]
seen["projects"] = [one["key"] for one in server.project_list()]
seen["repositories"] = [one["slug"] for one in server.repo_list("PROJ")]
seen["hooks"] = [one["details"]["key"] for one in server.all_repo_hook_settings("PROJ", "app")]

# stashy, which administers the hook's settings too, and raises errors by their shape.
stash = stashy.connect(URL, "admin", PASSWORD)
app = stash.projects["PROJ"].repos["app"]
hook = app.settings.hooks[HOOK]
hook.configure({"hook-url-0": RECEIVER + "/hook"})
seen["hook_enabled"] = hook.enable()["enabled"]
seen["hook_settings"] = hook.settings()
seen["stashy_commits"] = [one["id"] for one in app.commits("main", since="v1")]
seen["stashy_changes"] = [one["type"] for one in app.changes("main")]
seen["stashy_lines"] = [one["text"] for one in app.browse("src/package.json", at="main")]
seen["stashy_type"] = app.browse("src", type=True)["type"]
seen["stashy_files"] = list(app.files("src"))
try:
    stash.projects["PROJ"].repos["nope"].get()
except stashy.errors.NotFoundException as error:
    seen["stashy_error"] = str(error)

# atlassian-python-api, for Bitbucket Cloud.
cloud = Cloud(url=URL, username="admin", password=PASSWORD)
repository = cloud.repositories.get("PROJ", "app")
seen["cloud_name"] = repository.data["full_name"]
seen["cloud_branches"] = [one.name for one in repository.branches.each()]
seen["cloud_commits"] = [one.hash for one in repository.commits.each()]
repository.hooks.create(RECEIVER + "/cloud", "CI", events=["repo:push"])
seen["cloud_hooks"] = [one.webhook_url() for one in repository.hooks.each()]

print(json.dumps(seen))
