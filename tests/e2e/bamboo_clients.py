"""Drives a server through atlassian-python-api as scripts for Bamboo do: deployments.

Prints one JSON object with what it saw. Arguments come as environment variables: MADAKE_URL, MADAKE_PASSWORD.
"""

import json
import os
import time

from atlassian import Bamboo

bamboo = Bamboo(url=os.environ["MADAKE_URL"], username="admin", password=os.environ["MADAKE_PASSWORD"])
seen = {}

made = bamboo.create_deployment_project({"name": "By script", "planKey": {"key": "PROJ-PLAN"}})
project = made["id"]
bamboo.update_deployment_project(project, {"description": "kept by a script"})
first = bamboo.create_deployment_environment(project, {"name": "Staging"})
second = bamboo.create_deployment_environment(project, {"name": "Live"})
bamboo.update_deployment_environment(second["id"], {"name": "Production"})
seen["project"] = bamboo.deployment_project(project)["description"]
seen["environments"] = [one["name"] for one in bamboo.deployment_project(project)["environments"]]
seen["projects"] = [one["name"] for one in bamboo.deployment_projects()]
seen["of_plan"] = [one["name"] for one in bamboo.get_deployment_projects_for_plan("PROJ-PLAN")]
version = bamboo.create_deployment_version(project, {"planResultKey": "PROJ-PLAN-1", "name": "1.0"})
unused = bamboo.create_deployment_version(project, {"planResultKey": "PROJ-PLAN-1", "nextVersionName": "2.1"})
seen["unused"] = unused["name"]
seen["versions"] = [one["name"] for one in bamboo.get_deployment_versions(project)["versions"]]
bamboo.delete_deployment_version(unused["id"])
seen["version"] = bamboo.get_deployment_version(version["id"])["name"]
queued = bamboo.trigger_deployment_for_version_on_environment(version["id"], first["id"])
for _ in range(600):
    results = list(bamboo.deployment_environment_results(first["id"]))
    if results and results[0]["lifeCycleState"] == "FINISHED":
        break
    time.sleep(0.1)
seen["result"] = [results[0]["id"] == queued["deploymentResultId"], results[0]["deploymentState"]]
dashboard = bamboo.deployment_dashboard()
seen["dashboard"] = [one["deploymentProject"]["name"] for one in dashboard]
page = bamboo.get_deployment_dashboard_paginate(project)
seen["page"] = [one["name"] for one in page["results"]]
status = bamboo.get_deployment_dashboard_status({"environmentIds": [first["id"]]})
seen["status"] = [[one["environmentId"] == first["id"], one["deploymentState"]] for one in status]
bamboo.delete_deployment_environment(second["id"])
seen["left"] = [one["name"] for one in bamboo.deployment_project(project)["environments"]]
bamboo.delete_deployment_project(project)
seen["at_the_end"] = [one["name"] for one in bamboo.deployment_projects()]
print(json.dumps(seen))
