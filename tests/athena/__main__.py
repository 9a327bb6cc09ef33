"""`python -m tests.athena`: a double of Athena to try Trapline with, until ^C."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from tests.athena.double import AthenaDouble, athena_double

_SETTINGS = """\
athena:
  output: {output}
  region: {region}
  database: security

tables:
  aws_cloudtrail:
    engine: athena
    partition: day
"""


@click.command()
@click.option("--port", default=5001, show_default=True, help="Where it listens, on this machine alone.")
@click.option(
    "--cloudtrail",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that `trapline tables import cloudtrail` wrote, to be the table security.aws_cloudtrail.",
)
def main(port: int, cloudtrail: Path | None) -> None:
    """Run a double of Athena, Glue and S3, and print how to use it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it runs in the background ignore it
    with athena_double(port=port) as double:
        if cloudtrail is not None:
            location = double.put_table("aws_cloudtrail", cloudtrail, partitions=["day"], database="security")
            print(f"# {cloudtrail} is the table security.aws_cloudtrail, at {location}")
        _explain(double)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("\n# ended; nothing of it is kept")


def _explain(double: AthenaDouble) -> None:
    print("# in the shell that runs trapline:")
    for name, value in double.env.items():
        print(f"export {name}={value}")
    print("\n# in trapline.yml:")
    print(_SETTINGS.format(output=double.output, region=double.env["AWS_REGION"]), flush=True)


if __name__ == "__main__":
    main()
