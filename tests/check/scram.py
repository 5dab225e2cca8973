"""Sets the password of a SCRAM user of a broker, for both SCRAM mechanisms."""

import argparse
import os

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

MECHANISMS = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--brokers", required=True)
    arguments.add_argument("--user", required=True)
    arguments.add_argument("--password-variable", required=True, help="environment variable that holds the password")
    args = arguments.parse_args()
    password = os.environ[args.password_variable].encode()
    admin = AdminClient({"bootstrap.servers": args.brokers})
    for mechanism in MECHANISMS:
        info = ScramCredentialInfo(mechanism, 4096)
        changes = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(args.user, info, password)])
        for change in changes.values():
            change.result(timeout=30)


if __name__ == "__main__":
    main()
