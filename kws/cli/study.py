"""Compare ways to train over numbers of recordings, keywords and seeds, beside training from scratch.

RECIPE is YAML, such as kws/recipes/study.yaml. Each cell is `kws train` or `kws enroll`, and then
`kws.Detector` on other people, noise and rooms. A finished cell is kept and not run again: the same command
goes on where it stopped, also with more choices. OUTPUT gets results.csv, summary.csv, summary.md,
misses.png, gains.png, behind.png, study.html and recommendation.yaml, which
`kws train --set train.transfer.auto_table=FILE` takes.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli import folders
from kws.cli.own_names import STUDY
from kws.cli.parser import RECIPE, Input

if TYPE_CHECKING:
    from kws.cli.study_data import StudyData
    from kws.study.grid import Cell
    from kws.study.pool import Failure, Job
    from kws.study.recipe import StudyConfig
    from kws.study.results import StudyResults

HELP = "compare ways to train, with a table, a plot and, where they tell, a recommendation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws study``."""
    add = parser.add_argument
    add("recipe", type=RECIPE, metavar="RECIPE", help="YAML recipe, such as kws/recipes/study.yaml")
    add("--output", type=Path, required=True, help="folder for finished cells, tables, plot and page")
    add(
        "--root",
        type=Input("a folder"),
        help="folder that the recipe's paths are relative to (default: the recipe's)",
    )
    add("--jobs", type=int, help="cells at once, a process and a thread each (default: one for each core)")
    add(
        "--dask",
        metavar="ADDRESS",
        help="run the cells on the workers of this Dask scheduler, which all see OUTPUT and the audio",
    )
    add(
        "--only",
        nargs="*",
        metavar="WORD",
        help="run only cells whose name holds one of these; * is anything",
    )
    add("--cache", type=Path, help="folder for decoded audio and synthetic voices (default: OUTPUT/cache)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override one key, such as seeds=[0]")
    add("--keep-runs", action="store_true", help="keep the folder of each training run, some megabytes each")
    add(
        "--against",
        nargs="+",
        metavar="CHOICE",
        default=[],
        help="also tell what each choice gains over these, clip by clip (against.md, and in the page)",
    )
    add("--report", action="store_true", help="run nothing; write tables, plot and page of what is finished")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`study` and print what it found; 1 when a cell failed."""
    summary = study(
        arguments.recipe,
        arguments.output,
        root=arguments.root,
        jobs=arguments.jobs,
        dask=arguments.dask,
        only=arguments.only,
        cache=arguments.cache,
        overrides=arguments.set,
        keep_runs=arguments.keep_runs,
        report=arguments.report,
        against=arguments.against,
        progress=sys.stderr.isatty(),
    )
    print("\n".join(summary.lines))
    for failure in summary.failures:
        print(f"FAILED {failure}")
    return 1 if summary.failures else 0


@dataclass(frozen=True)
class StudySummary:
    """What a study found.

    Attributes:
        output: its folder.
        lines: sentences for the person.
        failures: cells that did not finish.
        num_finished: cells that did.
        num_cells: all cells.
    """

    output: Path
    lines: tuple[str, ...]
    failures: tuple[Failure, ...]
    num_finished: int
    num_cells: int


@folders.leaves_nothing(STUDY)
def study(
    recipe: Path,
    output: Path,
    *,
    root: Path | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    only: Sequence[str] | None = None,
    cache: Path | None = None,
    overrides: Sequence[str] = (),
    keep_runs: bool = False,
    report: bool = False,
    against: Sequence[str] = (),
    progress: bool = False,
) -> StudySummary:
    """Run what is missing of a study and write its tables, plot and page.

    Args:
        recipe: YAML of :class:`kws.study.recipe.StudyConfig`.
        output: folder of the study; finished cells in it are kept.
        root: what relative paths of the recipe start from; None is the recipe's folder.
        jobs: cells at once on this machine; None is one for each core.
        dask: address of a Dask scheduler, whose workers run the cells instead.
        only: run cells whose name holds one of these patterns (``*`` is anything); None runs all.
        cache: folder for decoded audio and synthetic voices; None is ``output/cache``.
        overrides: ``key=value`` changes of the recipe.
        keep_runs: keep the folders of the training runs.
        report: run nothing.
        against: choices that every other one is held against, with intervals.
        progress: show bars.
    Raises:
        KwsError: the recipe, its audio or the folder cannot be used; the message names it and the remedy.
    """
    from joblib import cpu_count

    from kws.cli.study_cell import PROGRAM
    from kws.cli.study_data import read_data
    from kws.cli.study_plan import plan, share_work
    from kws.config import parse_overrides
    from kws.errors import ConfigError
    from kws.study.grid import cell_path, cells
    from kws.study.pool import run_jobs
    from kws.study.recipe import load_study
    from kws.study.report import write_report

    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs: got {jobs}, allowed: 1 or more")
    num_jobs = jobs or cpu_count()
    recipe, output = recipe.absolute(), output.absolute()
    config = load_study(recipe, parse_overrides(list(overrides)))
    base = (root or recipe.parent).absolute()
    check_choices(config, base)
    check_against(config, against)
    folders.keep_apart(output, sources_of(config, base))
    claim(output, config)
    cache = (cache or output / "cache").absolute()
    grid = cells(config)
    wanted = [cell for cell in grid if not only or any(fnmatchcase(cell.name, f"*{word}*") for word in only)]
    if not wanted:
        raise ConfigError(f"--only: no cell is called like {', '.join(only or ())}; one is {grid[0].name}")
    data = read_data(config, base, output, progress=progress)
    planned = plan(config, grid, data, output, cache, keep_runs)
    missing: dict[str, Job] = {}
    for cell in wanted:
        job = planned[cell]
        if not report and not cell_path(output, job.identity).is_file():
            missing.setdefault(job.identity, job)
    share_work(list(missing.values()), cache, num_jobs)
    num_finished = len({planned[cell].identity for cell in wanted} - set(missing))
    failures = run_jobs(
        list(missing.values()),
        output,
        PROGRAM,
        num_jobs=num_jobs,
        dask=dask,
        num_finished=num_finished,
        progress=progress,
    )
    results = collect(config, planned, data, output)
    lines = write_report(
        config,
        results,
        output,
        notes=data.notes,
        command=shlex.join(["kws", *sys.argv[1:]]),
        num_cells=len(grid),
        against=against,
    )
    return StudySummary(output, tuple(lines), tuple(failures), len(results.cells), len(grid))


def check_choices(config: StudyConfig, base: Path) -> None:
    """Refuse a choice with a key or value that ``kws train`` would refuse; before anything is run.

    Raises:
        ConfigError: the message names the choice and the key.
    """
    from kws.cli.run_settings import read_settings, read_wish
    from kws.cli.study_plan import setting_pairs
    from kws.errors import ConfigError
    from kws.regularizers import need_domains

    for name, choice in config.all_choices().items():
        try:
            wish = read_wish(None, setting_pairs(choice.over(config.settings), base))
            _, training = read_settings([config.keywords[0].keyword], wish)
            if choice.target_audio and not need_domains(training.regularizers):
                raise ConfigError(
                    "target_audio: nothing compares it; add `set: {train.regularizers: {dann: 0.1}}`, or "
                    "leave it out"
                )
        except ConfigError as error:
            raise ConfigError(f"choices.{name}: {error}") from error


def sources_of(config: StudyConfig, base: Path) -> dict[str, list[Path]]:
    """Return the audio that a recipe names, by its keys."""
    named = {
        "negatives": config.negatives,
        "noise": config.noise,
        "test_negatives": config.test_negatives,
        "test_noise": config.test_noise,
        "target_audio": [path for choice in config.all_choices().values() for path in choice.target_audio],
    }
    for entry in config.keywords:
        named[entry.keyword] = [*entry.train, *entry.test, *entry.test_conditions.values()]
    return {name: [base / path for path in paths] for name, paths in named.items()}


def check_against(config: StudyConfig, against: Sequence[str]) -> None:
    """Refuse to hold choices against one that the recipe does not have.

    Raises:
        ConfigError: naming those that it has.
    """
    from kws.errors import ConfigError

    names = list(config.all_choices())
    for name in against:
        if name not in names:
            raise ConfigError(f"--against: got {name}, allowed: {', '.join(names)}")


def claim(output: Path, config: StudyConfig) -> None:
    """Mark a folder as that of a study; refuse one that holds something else.

    Raises:
        ConfigError: it holds files and no study.
    """
    from kws.config import config_hash
    from kws.errors import ConfigError
    from kws.study.pool import MARKER
    from kws.weights import write_json

    if output.is_dir() and any(output.iterdir()) and not (output / MARKER).is_file():
        raise ConfigError(f"{output}: holds something else than a study; choose another --output")
    write_json(output / MARKER, {"study": config_hash(config)})


def collect(config: StudyConfig, planned: dict[Cell, Job], data: StudyData, output: Path) -> StudyResults:
    """Read the finished cells."""
    from kws.study.results import StudyResults, read_cell

    found = {cell: read_cell(output, job.identity) for cell, job in planned.items()}
    return StudyResults(
        choices=tuple(config.all_choices()),
        conditions=config.condition_names(),
        rates=config.rates,
        compared_at=config.compared_at,
        cells={cell: result for cell, result in found.items() if result is not None},
        num_runs=len(config.keywords) * len(config.seeds),
        units=data.units,
    )
