#!/usr/bin/env python3
"""Runs on this machine the commands that the containers of docker-compose.yml would run.

    compose_run.py CONFIG --folder DIR      CONFIG: the output of docker-compose config

Kafka and the S3 server come from tests/servers; only the host names of the services and the port of /metrics are replaced. The producer and the
ingest run until three commits are there, then the health check and the query of the file must answer, both must stop on SIGTERM with 0, and
the checker must find nothing.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml

from servers import REPOSITORY, Servers, unwind_on_sigterm
from worker import OPENED, Worker

#: Where the ingest of the file listens; somebody else may have it here.
METRICS = "127.0.0.1:9464"
COMMITS = 3
SECONDS = 120


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


class Containers:
    def __init__(self, config: dict, binary: Path, folder: Path, names: dict[str, str], environment: dict[str, str]):
        self.services, self.binary, self.folder = config["services"], binary, folder
        self.names, self.environment = names, environment

    def command(self, service: str) -> list[str]:
        return self.here(self.services[service]["command"])

    def here(self, words: list[str]) -> list[str]:
        command = [str(part) for part in words]
        for name, here in self.names.items():
            command = [part.replace(name, here) for part in command]
        return [str(self.binary), *command]

    def start(self, service: str) -> Worker:
        log = self.folder / f"{service}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.command(service), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=self.environment
            )
        return Worker(service, process, log, OPENED if service == "ingest" else b"")

    def restarted(self, service: str, seconds: float) -> Worker:
        """As `restart: on-failure`: until it runs for two seconds."""
        end = time.monotonic() + seconds
        while True:
            worker = self.start(service)
            try:
                worker.process.wait(2)
            except subprocess.TimeoutExpired:
                return worker
            if time.monotonic() > end:
                raise SystemExit(f"{service} does not stay up:\n{worker.tail()}")


def option(command: list[str], name: str) -> str:
    return next(part.split("=", 1)[1] for part in command if part.startswith(f"{name}="))


def execute(args: argparse.Namespace, servers: Servers) -> int:
    brokers = servers.start("kafka.sh")["BROKERS"]
    s3 = servers.start("s3.sh")
    config = yaml.safe_load(args.config.read_text())
    # The containers know these two by name; their keys are those of the server that runs here.
    names = {"kafka:9092": brokers, "http://s3:7070": s3["S3_ENDPOINT"], METRICS: f"127.0.0.1:{free_port()}"}
    keys = {name: s3[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    containers = Containers(config, args.binary.resolve(), args.folder, names, os.environ | keys | {"NO_COLOR": "1"})
    running = []
    try:
        simulate = containers.restarted("simulate", 30)
        running.append(simulate)
        ingest = containers.restarted("ingest", 30)
        running.append(ingest)
        end = time.monotonic() + SECONDS
        while ingest.commits() < COMMITS:
            if time.monotonic() > end or not ingest.alive() or not simulate.alive():
                raise SystemExit(f"no {COMMITS} commits:\n{ingest.tail()}\n{simulate.tail()}")
            time.sleep(0.2)
        probe = containers.services["ingest"]["healthcheck"]["test"]
        if probe[0] != "CMD" or subprocess.run(containers.here(probe[2:]), env=containers.environment).returncode:
            raise SystemExit(f"the ingest is not healthy by {probe}")
        answer = subprocess.run(containers.command("query"), stdout=subprocess.PIPE, text=True, env=containers.environment)
        print(answer.stdout)
        if answer.returncode != 0 or len(answer.stdout.splitlines()) < 2:
            raise SystemExit(f"the query ended with {answer.returncode}")
        for worker in (simulate, ingest):
            code, seconds = worker.terminate()
            print(f"{worker.name}: SIGTERM, exit {code} after {seconds:.1f} s")
            if code != 0:
                raise SystemExit(f"{worker.name} did not stop well:\n{worker.tail()}")
    finally:
        for worker in running:
            if worker.alive():
                worker.kill()
    command = containers.command("ingest")
    checker = [sys.executable, REPOSITORY / "tests/check/checker.py", "--brokers", brokers, "--incomplete"]
    checker += ["--topic", option(command, "--topic"), "--table", option(command, "--table")]
    return subprocess.run([*checker, "--s3-endpoint", s3["S3_ENDPOINT"]], env=containers.environment).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="for logs and data")
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    unwind_on_sigterm()
    servers = Servers(args.folder)
    try:
        return execute(args, servers)
    finally:
        servers.stop()


if __name__ == "__main__":
    sys.exit(main())
