"""Owns the command line: options, their names in the environment (AVATAR_<COMMAND>_<OPTION>), and exit codes.

Everything heavy is imported inside a command, so that help is instant. Nothing is computed here.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import os

# Before numpy is imported anywhere: its BLAS would start one spinning thread per core in every worker process, and
# on matrices as small as ours they only take the cores from each other. The operator's own setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Before grpc is: the gateway is started from a process that serves gRPC, and calls it only as another program.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from pathlib import Path

import click

from avatar_service import __version__
from avatar_service.commands import neural
from avatar_service.config import GatewaySettings, Settings

_DEFAULTS = Settings()
_GATEWAY_DEFAULTS = GatewaySettings()
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_PATH = click.Path(path_type=Path)


@click.group(context_settings={"auto_envvar_prefix": "AVATAR", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="avatar-service")
def main() -> None:
    """Make a portrait speak: live speech in, synchronised video out, over gRPC."""


main.add_command(neural.doctor)
main.add_command(neural.finetune)
main.add_command(neural.convert)


@main.command()
@click.option("--host", default=_DEFAULTS.host, show_default=True, help="Address to listen on.")
@click.option("--port", default=_DEFAULTS.port, show_default=True, type=click.IntRange(0, 65535), help="0: any free.")
@click.option("--engine", default=_DEFAULTS.engine, show_default=True, help="Engine that makes the frames.")
@neural.ENGINE_OPTION
@click.option(
    "--workers",
    default=None,
    show_default="one a core; 1 of imtalker",
    type=click.IntRange(0, 256),
    help="Processes with an engine each; 0: a thread of this process.",
)
@click.option(
    "--capacity",
    default=_DEFAULTS.capacity,
    show_default="measured at start",
    type=click.IntRange(0),
    help="Sessions at once.",
)
@click.option(
    "--head-room",
    default=_DEFAULTS.head_room,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Share of the measured speed that is kept free.",
)
@click.option(
    "--max-avatars",
    default=_DEFAULTS.max_avatars,
    show_default=True,
    type=click.IntRange(0),
    help="Avatars that may be kept by CreateAvatar.",
)
@click.option(
    "--max-avatar-mib",
    default=_DEFAULTS.max_avatar_bytes >> 20,
    show_default=True,
    type=click.IntRange(0),
    help="Memory that they may hold in each worker, their pictures included.",
)
@click.option(
    "--drain-grace",
    default=_DEFAULTS.drain_grace_s,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds that running sessions may go on after SIGTERM.",
)
@click.option(
    "--gateway/--no-gateway",
    "with_gateway",
    default=True,
    show_default=True,
    help="Serve REST, HLS and the page too, by a process of its own.",
)
@click.option(
    "--gateway-port",
    envvar=["AVATAR_SERVE_GATEWAY_PORT", "AVATAR_GATEWAY_PORT"],
    default=_GATEWAY_DEFAULTS.port,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port of that; its other settings are AVATAR_GATEWAY_...",
)
def serve(  # noqa: PLR0913 - one argument per option is click's way
    *,
    host: str,
    port: int,
    engine: str,
    engine_option: dict[str, str],
    workers: int | None,
    capacity: int,
    head_room: float,
    max_avatars: int,
    max_avatar_mib: int,
    drain_grace: float,
    with_gateway: bool,
    gateway_port: int,
) -> None:
    """Serve gRPC, and a gateway for browsers, until SIGTERM or SIGINT."""
    from avatar_service.app import serve as serve_until_stopped
    from avatar_service.engine.registry import ENGINE_NAMES, ONE_WORKER
    from avatar_service.errors import SetupError, UnavailableError
    from avatar_service.log import configure as configure_log

    if engine not in ENGINE_NAMES:
        message = f"there is no engine {engine}; there are {', '.join(ENGINE_NAMES)}"
        raise click.BadParameter(message, param_hint="--engine")
    configure_log()
    settings = Settings(
        host=host,
        port=port,
        engine=engine,
        engine_options=engine_option,
        workers=workers if workers is not None else 1 if engine in ONE_WORKER else _CORES,
        capacity=capacity,
        head_room=head_room,
        max_avatars=max_avatars,
        max_avatar_bytes=max_avatar_mib << 20,
        drain_grace_s=drain_grace,
    )
    try:
        serve_until_stopped(settings, gateway_port if with_gateway else None)
    except (OSError, SetupError, UnavailableError) as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.option("--server", default=_GATEWAY_DEFAULTS.server, show_default=True, metavar="HOST:PORT", help="The service.")
@click.option("--host", default=_GATEWAY_DEFAULTS.host, show_default=True, help="Address to listen on.")
@click.option("--port", default=_GATEWAY_DEFAULTS.port, show_default=True, type=click.IntRange(1, 65535))
@click.option("--folder", type=_PATH, help="Where the takes lie while it runs. Default: the system's temporary folder.")
@click.option("--cors-origin", multiple=True, metavar="ORIGIN", help="Whose pages may use it, besides its own.")
@click.option("--ice-server", multiple=True, metavar="URL", help="stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT.")
@click.option(
    "--synthesiser",
    default=_GATEWAY_DEFAULTS.synthesiser,
    show_default=True,
    metavar="PROGRAM",
    help="espeak-ng, to speak text, where it is installed; empty for none.",
)
@click.option(
    "--inactive",
    default=_GATEWAY_DEFAULTS.inactive_s,
    show_default=True,
    type=click.FloatRange(1),
    help="Seconds without use until a session and its files are deleted.",
)
@click.option(
    "--drain-grace",
    default=_GATEWAY_DEFAULTS.drain_grace_s,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds that takes may go on playing after SIGTERM.",
)
@click.option("--until-stdin-ends", is_flag=True, hidden=True, help="End with the process that holds the other end.")
def gateway(  # noqa: PLR0913 - one argument per option is click's way
    *,
    server: str,
    host: str,
    port: int,
    folder: Path | None,
    cors_origin: tuple[str, ...],
    ice_server: tuple[str, ...],
    synthesiser: str,
    inactive: float,
    drain_grace: float,
    until_stdin_ends: bool,
) -> None:
    """Serve REST, HLS and the page in front of a service, until SIGTERM or SIGINT."""
    from avatar_service.gateway.server import run
    from avatar_service.log import configure as configure_log

    configure_log()
    settings = GatewaySettings(
        server=server,
        host=host,
        port=port,
        folder=folder,
        cors_origins=cors_origin,
        ice_servers=ice_server,
        synthesiser=synthesiser,
        inactive_s=inactive,
        drain_grace_s=drain_grace,
    )
    try:
        run(settings, until_stdin_ends=until_stdin_ends)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("portrait", type=_PATH)
@click.argument("audio", type=_PATH)
@click.option("-o", "--output", required=True, type=_PATH, help="MP4 to write.")
@click.option("--server", metavar="HOST:PORT", help="Server to use. Default: a private one, for this call only.")
@click.option("--engine", default="", help="Engine. Default: the server's.")
@neural.ENGINE_OPTION
@click.option("--full-frame", is_flag=True, help="Show the whole picture with the animated face in its place.")
@click.option("--no-crop", is_flag=True, help="The face fills the picture already.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Of everything random.")
@click.option("--size", default=0, type=click.IntRange(0, 1920), help="Width in pixels, even. Default: the engine's.")
def animate(  # noqa: PLR0913 - one argument per option is click's way
    *,
    portrait: Path,
    audio: Path,
    output: Path,
    server: str | None,
    engine: str,
    engine_option: dict[str, str],
    full_frame: bool,
    no_crop: bool,
    seed: int | None,
    size: int,
) -> None:
    """Make PORTRAIT speak AUDIO (WAV, MP3, FLAC, Ogg, WebM, MP4 …) and write an MP4."""
    from avatar_service.commands import animate as command

    if full_frame and no_crop:
        message = "--full-frame puts the cropped face back, so it cannot go with --no-crop"
        raise click.UsageError(message)
    if output.suffix.lower() not in {".mp4", ".m4v"}:
        message = f"{output} must end in .mp4: that is what is written"
        raise click.BadParameter(message, param_hint="--output")
    order = command.Order(portrait, audio, output, server, engine, full_frame, not no_crop, seed, size, engine_option)
    summary = command.run(order)
    click.echo(f"{output}: {summary}")


@main.command()
@click.argument("target", metavar="HOST:PORT")
@click.argument("symbol", required=False)
@click.option("-d", "--data", metavar="JSON", help="Request; @ reads one request per line from stdin. Default: {}.")
@click.option("--full", is_flag=True, help="Print long bytes in full.")
@click.option("--timeout", default=60.0, show_default=True, type=click.FloatRange(0.1), help="Seconds for the call.")
def call(*, target: str, symbol: str | None, data: str | None, full: bool, timeout: float) -> None:
    """Ask a gRPC server by reflection.

    Without SYMBOL, list its services. With the name of a service, message or enum, print its definition. With
    SERVICE/METHOD, call it and print one JSON message per line.
    """
    from avatar_service.commands import call as command

    command.run(target, symbol, command.Request(data, full=full, timeout_s=timeout))


@main.command()
@click.option("--folder", default=Path("demo"), show_default=True, type=_PATH, help="Where the files go.")
@click.option("--engine", default="", help="Engine. Default: the service's.")
def demo(*, folder: Path, engine: str) -> None:
    """Make the sample photograph speak: demo.mp4 and a contact sheet of it."""
    from avatar_service.commands import demo as command

    made = command.run(folder, engine)
    click.echo(f"{made.movie}: {made.summary}")
    click.echo(f"{made.contact_sheet}")


@main.command()
@click.option("--sessions", default=0, show_default="as many as fit", type=click.IntRange(0), help="At once.")
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(1), help="That each speaks.")
@click.option("--workers", default=0, show_default="one a core", type=click.IntRange(0), help="Of the server.")
@click.option("--engine", default=_DEFAULTS.engine, show_default=True, help="That makes the frames.")
def bench(*, sessions: int, seconds: float, workers: int, engine: str) -> None:
    """Measure how many paced sessions this machine serves, and how late their frames are; print JSON."""
    import json

    from avatar_client import AvatarRpcError

    from avatar_service.commands import bench as command

    try:
        figures = command.run(command.Plan(sessions, seconds, workers, engine))
    except (AvatarRpcError, TimeoutError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(figures))
