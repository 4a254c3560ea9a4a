#!/usr/bin/env python3
"""Checks docker-compose.yml where there is no Docker: that it parses, and that what it refers to
is there (services waited for, named volumes, SQL files of the image, health of what is waited for).
`docker compose config` checks more; use that where it is. Needs PyYAML."""

import os
import sys

import yaml

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(root, "docker-compose.yml"), encoding="utf-8") as file:
    compose = yaml.safe_load(file)

problems = []
services = compose["services"]
for name, service in services.items():
    if "image" not in service and "build" not in service:
        problems.append(f"{name}: neither image nor build")
    for other, wanted in service.get("depends_on", {}).items():
        if other not in services:
            problems.append(f"{name}: depends on {other}, which is no service")
        elif wanted["condition"] == "service_healthy" and "healthcheck" not in services[other]:
            problems.append(f"{name}: waits for the health of {other}, which has no healthcheck")
        elif wanted["condition"] == "service_completed_successfully" and services[other].get("restart") != "no":
            problems.append(f"{name}: waits for the end of {other}, which is started again when it ends")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith((".", "/")) and source not in compose["volumes"]:
            problems.append(f"{name}: volume {source} is not declared")
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            problems.append(f"{name}: port {port} is open to other machines")
    command = service.get("command", [])
    for word in command:
        shipped = "/usr/share/plamatio/"
        if isinstance(word, str) and word.startswith(shipped):
            path = os.path.join(root, "queries", word[len(shipped):])
            if not os.path.exists(path):
                problems.append(f"{name}: {word} is not in the image ({path} does not exist)")

for problem in problems:
    print(f"error: docker-compose.yml: {problem}", file=sys.stderr)
if not problems:
    print(f"docker-compose.yml: {len(services)} services, references agree")
sys.exit(1 if problems else 0)
