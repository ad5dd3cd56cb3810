#!/usr/bin/env python3
"""Asks restic (Debian's 0.14) which snapshots its rules keep; writes cases.txt: the
snapshots' times, then one line a policy with a digit 0 or 1 for each of them."""
import datetime
import json
import os
import random
import subprocess
import tempfile

POLICIES = """
last=1 | last=7 | hourly=5 | hourly=48 | daily=7 | daily=1000 | weekly=4 | weekly=60
monthly=3 | monthly=1000 | yearly=1 | yearly=2 | yearly=5 | within=1d | within=36h
within=1m2d3h | within=1y | last=3 daily=7 weekly=5 | hourly=24 daily=7 weekly=5 monthly=12
last=2 hourly=3 daily=4 weekly=5 monthly=6 yearly=7 within=4d | daily=3 yearly=2
""".replace("\n", "|").split("|")

os.environ |= {"RESTIC_PASSWORD": "x", "TZ": "UTC"}
rng = random.Random(7)
at = datetime.datetime(2025, 1, 3, 22, 15, 3, tzinfo=datetime.timezone.utc)
times = []
for n in range(70):
    times.append(int(at.timestamp()))
    at += datetime.timedelta(seconds=rng.choice([600, 1800, 3600, 7200, 43000, 86400, 200000, 900000, 3000000]) + rng.randrange(500))

with tempfile.TemporaryDirectory() as work:
    def restic(*args):
        return subprocess.run(["restic", "-q", "-r", work + "/repo", *args], check=True, capture_output=True, text=True).stdout

    restic("init")
    with open(work + "/f", "w") as f:
        f.write("x")
    for t in times:
        restic("backup", "--time", datetime.datetime.utcfromtimestamp(t).strftime("%Y-%m-%d %H:%M:%S"), work + "/f")
    with open("cases.txt", "w") as out:
        print(*times, file=out)
        for policy in filter(None, map(str.strip, POLICIES)):
            options = [f"--keep-{rule.replace('=', ' ')}".split() for rule in policy.split()]
            said = json.loads(restic("forget", "--dry-run", "--json", *sum(options, [])))
            kept = {int(datetime.datetime.fromisoformat(s["time"][:19] + "+00:00").timestamp()) for s in said[0]["keep"] or []}
            print(policy, "".join("01"[t in kept] for t in times), file=out, sep=": ")
