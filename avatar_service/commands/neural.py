"""Owns the command-line words of `doctor`, `finetune` and `convert`. Everything heavy is imported inside a command."""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


def _pairs(_context: click.Context, _option: click.Parameter, said: tuple[str, ...]) -> dict[str, str]:
    """Return options given as NAME=VALUE."""
    pairs = [one.partition("=") for one in said]
    wrong = next((one for one, pair in zip(said, pairs, strict=True) if not (pair[0] and pair[1])), None)
    if wrong is not None:
        message = f"{wrong!r} is not NAME=VALUE"
        raise click.BadParameter(message)
    return {name: value for name, _, value in pairs}


ENGINE_OPTION = click.option(
    "--engine-option",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_pairs,
    help="Of the engine, as its page in docs/ lists them; several times, or separated by spaces in the environment.",
)


@click.command()
@click.option("--engine", default="portrait", show_default=True, help="That shall serve.")
@ENGINE_OPTION
@click.option("--head-room", default=0.45, show_default=True, type=click.FloatRange(0, 0.9), help="Kept free.")
@click.option("--measure/--no-measure", default=True, show_default=True, help="Run it, which may take a minute.")
def doctor(*, engine: str, engine_option: dict[str, str], head_room: float, measure: bool) -> None:
    """Say what is installed, what an engine would run on, and how many sessions that holds."""
    from avatar_service.commands import doctor as command
    from avatar_service.engine.registry import ENGINE_NAMES

    if engine not in ENGINE_NAMES:
        message = f"there is no engine {engine}; there are {', '.join(ENGINE_NAMES)}"
        raise click.BadParameter(message, param_hint="--engine")
    good = True
    for finding in command.examine(command.Question(engine, engine_option, head_room, measure)):
        click.echo(str(finding))
        good = good and finding.good
    if not good:
        raise SystemExit(1)


@click.command()
@click.argument("folder", type=_PATH)
@click.option("-o", "--output", required=True, type=_PATH, help="Adapter to write, .safetensors.")
@click.option("--checkpoint", default="checkpoints", show_default=True, help="The weights, as for serving.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option("--rank", default=16, show_default=True, type=click.IntRange(1, 256), help="Of the adapter.")
@click.option("--steps", default=1000, show_default=True, type=click.IntRange(1), help="Of training.")
@click.option("--batch", default=8, show_default=True, type=click.IntRange(1), help="Examples of each step.")
@click.option("--learning-rate", default=3e-4, show_default=True, type=click.FloatRange(0, 1, min_open=True))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Of all chance.")
def finetune(  # noqa: PLR0913 - one argument per option is click's way
    *,
    folder: Path,
    output: Path,
    checkpoint: str,
    device: str,
    rank: int,
    steps: int,
    batch: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Teach the imtalker engine how one speaker moves, from features in FOLDER, as an adapter file."""
    from avatar_service.commands import finetune as command
    from avatar_service.errors import SetupError

    course = command.Course(folder, output, checkpoint, device, rank, steps, batch, learning_rate, seed)
    try:
        for line in command.run(course):
            click.echo(line)
    except (OSError, SetupError) as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.argument("folder", type=_PATH)
@click.option("-o", "--output", required=True, type=_PATH, help="File to write, .safetensors.")
def convert(*, folder: Path, output: Path) -> None:
    """Make one file of the imtalker weights in FOLDER: it loads sooner, and nothing in it can run."""
    try:
        from avatar_service.engine.imtalker.model import WeightsError, checkpoint
    except ModuleNotFoundError as error:
        message = f"converting needs {error.name}: pip install 'avatar-service[imtalker]'"
        raise click.ClickException(message) from None
    if output.suffix != ".safetensors":
        message = f"{output} must end in .safetensors: that is what is written"
        raise click.BadParameter(message, param_hint="--output")
    try:
        weights = checkpoint.read(folder)
        checkpoint.write(weights, output)
    except (OSError, WeightsError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{output}: generation {weights.generation}")
