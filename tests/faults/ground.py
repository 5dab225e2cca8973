"""What rounds stand on: Kafka behind its proxy, a cluster of three, the S3 server behind its proxy. Started when the
first round needs them, and kept for the next."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from cluster import Cluster
from proxy_control import Proxy
from servers import Servers, free_ports


@dataclass
class Kafka:
    """`direct` is for the producer and the checker, `proxied` for the workers."""

    direct: str
    proxied: str
    proxy: Proxy | None


@dataclass
class S3:
    endpoint: str
    region: str
    bucket: str
    objects: Path
    keys: dict[str, str]
    proxy: Proxy


@dataclass
class Ground:
    folder: Path
    servers: Servers
    kafka_one: Kafka | None = None
    cluster: Cluster | None = None
    store: S3 | None = None
    proxies: list[Proxy] = field(default_factory=list)

    def kafka(self, brokers: int) -> Kafka:
        if brokers == 3:
            if self.kafka_one:
                self.stop_kafka()
            if self.cluster is None:
                self.cluster = Cluster(self.folder / "cluster")
                self.cluster.start()
            return Kafka(self.cluster.brokers, self.cluster.brokers, None)
        if self.kafka_one is None:
            told = self.servers.start("kafka.sh", "proxied")
            proxy = self.proxy("tcp_proxy.py", told["PROXIED_BROKERS"], told["PROXY_TARGET"])
            self.kafka_one = Kafka(told["BROKERS"], told["PROXIED_BROKERS"], proxy)
        return self.kafka_one

    def kill_kafka(self) -> None:
        pid = int((self.folder / "kafka" / "kafka.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        # It is no child of this process.
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)

    def restart_kafka(self) -> None:
        told = self.servers.start("kafka.sh", "proxied")
        if (told["BROKERS"], told["PROXIED_BROKERS"]) != (self.kafka_one.direct, self.kafka_one.proxied):
            raise RuntimeError(f"the broker came back at another port: {told}")

    def stop_kafka(self) -> None:
        self.kafka_one.proxy.stop()
        self.proxies.remove(self.kafka_one.proxy)
        self.kafka_one = None
        self.servers.stop_one("kafka.sh")

    def s3(self) -> S3:
        if self.store is None:
            told = self.servers.start("s3.sh")
            [port] = free_ports(1)
            proxy = self.proxy("s3_proxy.py", f"127.0.0.1:{port}", told["S3_ENDPOINT"].removeprefix("http://"))
            keys = {key: told[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
            endpoint, objects = f"http://127.0.0.1:{port}", Path(told["S3_OBJECTS"], told["S3_BUCKET"])
            self.store = S3(endpoint, told["S3_REGION"], told["S3_BUCKET"], objects, keys, proxy)
        return self.store

    def proxy(self, script: str, listen: str, target: str) -> Proxy:
        proxy = Proxy(script, listen.rsplit(":", 1)[1], target)
        self.proxies.append(proxy)
        return proxy

    def stop(self) -> None:
        for proxy in self.proxies:
            proxy.stop()
        if self.cluster:
            self.cluster.stop()
        self.servers.stop()
