"""Datasets of any size: memory, images a second, seconds a candidate, and a final training that is killed and goes on.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.data    # all parts, about 40 minutes on two cores
    python -m benchmarks.data --parts speed memory      # some; only `search` needs data: CIFAR-10's training images
    python -m benchmarks.data --before FOLDER           # with a checkout of an earlier version, for figures before and after

Photographs are noise that was made smooth, written to a temporary folder. Each measurement runs in a process of its own, whose
peak is that of the kernel (`VmHWM`), decoding processes not counted; before and after, and peers, take turns, and only their
ratio counts.

- `memory`: the peak of a training on a folder, 10,000 and 100,000 images of 64 x 64; and within a limit, 8 times smaller than the
  decoded images, that is set as `RLIMIT_DATA` (`ulimit -d`) beyond what the process has after a step on noise.
- `speed`: images a CPU second, of all processes, through the loader with two workers: JPEG files to 224 x 224, against
  torchvision's `ImageFolder` and `DataLoader` with the same transformation, exact and fast.
- `search`: CPU seconds a candidate on 4,000 images of CIFAR-10, and resident memory (PSS) of 2 and 8 processes that hold 60,000
  images of 32 x 32, as many as CIFAR-10 has, beside that of processes that hold none.
- `resume`: the network of a cell, an epoch on images of 224 x 224, two processes, killed in the middle, against one that was not.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.frame import Rows, Script, average, data, table

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("speed", "memory", "search", "resume")
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


def photographs(folder: Path, images: int, height: int, width: int, classes: int = 10, kind: str = "jpg") -> Path:
    """Write smooth noise as image files, unless they are there; beyond 150 they are copies of the first, in other files."""
    if (folder / "done").exists():
        return folder
    rng, contents = np.random.default_rng(0), list[bytes]()
    for number in range(images):
        within = folder / "images" / f"class{number % classes:02}"
        within.mkdir(parents=True, exist_ok=True)
        file = within / f"{number:06}.{kind}"
        if number < 150:
            small = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
            Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(file, quality=90)
            contents.append(file.read_bytes())
        else:
            file.write_bytes(contents[number % len(contents)])
    (folder / "done").touch()
    return folder


def child(code: str, *arguments: object, root: Path = ROOT, cache: Path) -> dict[str, Any]:
    """Run code in a process of its own, and return the JSON of its last line."""
    environment = _environment(root, cache)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=environment,
        cwd=root,  # from which Python imports first
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"a measurement failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _environment(root: Path, cache: Path) -> dict[str, str]:
    """Return the variables of a measured process: its version, its cache folder, one thread, one arena."""
    own = {"PYTHONPATH": str(root), "ARCHSEARCH_CACHE": str(cache), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    return {**os.environ, **own}


_TRAINING = """
    import json, resource, sys, torch
    from archsearch import spaces
    from archsearch.evaluators import Recipe
    from archsearch.evaluators.datasets import load, resident
    from archsearch.evaluators.datasets.streamed import Loading
    from archsearch.evaluators.training.loop import Training
    folder, memory, limit, steps = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    space = spaces.get("nasbench201")
    network = space.build(space.parse(sys.argv[5]), 10, 3, torch.Generator().manual_seed(1), channels=2, cells_per_stage=1)
    def status(name):
        return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024
    noise, labels = torch.randn((64, 3, 64, 64)), torch.arange(64) % 10
    Training(network, Recipe(epochs=1, batch_size=64), [torch.Generator()]).run_epoch(noise, labels)  # so that its code is loaded
    before = status("VmHWM")
    if limit:
        room = status("VmData") + limit
        resource.setrlimit(resource.RLIMIT_DATA, (room, room))  # Linux counts heap, stacks and all other private, writable memory
    splits = load(f"imagefolder:{folder}?size=64", loading=Loading(memory, 1))
    part = resident(splits.train, *splits.train.statistics())
    training = Training(network, Recipe(epochs=1, batch_size=64), [torch.Generator().manual_seed(2)])
    class Enough(Exception): pass
    def stop():
        global steps
        steps -= 1
        if steps == 0:
            raise Enough
    try:
        training.run_epoch(part.images, part.labels, stop)
    except Enough:
        pass
    decoded = sum(each.images.shape.numel() for each in splits)
    print(json.dumps({"before": before, "peak": status("VmHWM"), "images": sum(map(len, splits)), "decoded": decoded}))
"""


def memory(rows: Rows, folder: Path, cache: Path, numbers: Sequence[int]) -> None:
    """Measure the peak memory of a training against the number of images, and within a limit."""
    for number in numbers:
        name = f"small{number}"

        def flat(number: int = number, name: str = name) -> dict[str, Any]:
            made = photographs(folder / name, number, 64, 64) / "images"
            return child(_TRAINING, made, 0.0, 0, 20, CELL, cache=cache)

        rows.get(flat, part="memory", kind="streamed", number=number)

    def held(number: int = numbers[0]) -> dict[str, Any]:
        made = photographs(folder / f"small{number}", number, 64, 64) / "images"
        return child(_TRAINING, made, 64.0, 0, 20, CELL, cache=cache)

    rows.get(held, part="memory", kind="held", number=numbers[0])

    def limited(number: int = numbers[-1]) -> dict[str, Any]:
        made = photographs(folder / f"small{number}", number, 64, 64) / "images"
        limit = max(150_000_000, number * 3 * 64 * 64 // 8)  # the least is for tiny sizes
        return {"limit": limit, **child(_TRAINING, made, limit / 4e9, limit, 20, CELL, cache=cache / "limited")}

    rows.get(limited, part="memory", kind="within a limit", number=numbers[-1])


_SPEED = """
    import json, resource, sys, time, torch
    from pathlib import Path
    def spent():
        each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(found.ru_utime + found.ru_stime for found in each)
    way, folder, workers, images = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if way == "torchvision":
        from torch.utils.data import DataLoader
        from torchvision.datasets import ImageFolder
        from torchvision.transforms import v2
        change = v2.Compose([v2.Resize(224, antialias=True), v2.CenterCrop(224), v2.PILToTensor()])
        data = ImageFolder(folder, change)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:images].tolist()
        batches = DataLoader(data, 64, sampler=order, num_workers=workers)
        read = (batch for batch, _ in batches)
    else:
        from archsearch.evaluators.datasets.decoding import Decoder
        from archsearch.evaluators.datasets.encoded import EncodedImages
        from archsearch.evaluators.datasets.image_files import ImageReader
        from archsearch.evaluators.datasets.image_source import FileList
        files = sorted(Path(folder).rglob("*.jpg"))
        reader = ImageReader((224, 224), Decoder(draft=224 if way == "fast" else None))
        data = EncodedImages(FileList(files), reader, workers=workers)
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:images]
        read = data.read(order.split(64))
    started, before, number = time.perf_counter(), spent(), 0
    for batch in read:
        number += len(batch)
    del read
    print(json.dumps({"images": number, "clock": time.perf_counter() - started, "cpu": spent() - before}))
"""


def speed(rows: Rows, folder: Path, cache: Path, quick: bool) -> None:
    """Measure images a second in turns, the order of the ways changing from turn to turn."""
    images = 128 if quick else 900
    for height, width in ((375, 500), (1200, 1600)):
        made = folder / f"photos{height}"
        for turn in range(2 if quick else 3):
            ways = ["torchvision", "exact", "fast"]
            for way in ways[turn % 3 :] + ways[: turn % 3]:

                def once(way: str = way, made: Path = made, size: tuple[int, int] = (height, width)) -> dict[str, Any]:
                    number = images if size[0] < 1000 else images // 6
                    photographs(made, number, *size)
                    return child(_SPEED, way, made / "images", 2, number, cache=cache)

                rows.get(once, part="speed", way=way, height=height, turn=turn)


_SEARCH = """
    import json, sys, time, torch
    torch.set_num_threads(1)
    from archsearch import spaces
    from archsearch.evaluators import TrainingEvaluator
    from archsearch.evaluators.datasets import Splits, load
    name, mode, images = sys.argv[1], sys.argv[2], int(sys.argv[3])
    space, scale = spaces.get("nasbench201"), {"channels": 4, "cells_per_stage": 1}
    cpu = torch.device("cpu")
    if mode == "seconds":
        whole = load(name)
        splits = Splits(*(part.take(range(min(images, len(part))), part.name) for part in whole))
        evaluator = TrainingEvaluator(space, splits, epochs=1, batch_size=128, scale=scale, device="cpu", flip=True, crop=4)
        evaluator.warns = False
        for part in ("train", "validation"):
            evaluator.images.part(part, cpu)
        evaluator.settings()
        started, spent = time.perf_counter(), time.process_time()
        [found] = evaluator.evaluate([space.parse(sys.argv[4])])
        print(json.dumps({"cpu": time.process_time() - spent, "clock": time.perf_counter() - started, "score": found.score}))
    else:
        evaluator = TrainingEvaluator(space, name or "digits", epochs=1, scale=scale, device="cpu")
        for part in ("train", "validation") if name else ():
            held = evaluator.images.part(part, cpu)
            for first in range(0, len(held), 1000):
                held.images[first : first + 1000].sum()
        print("ready", flush=True)
        sys.stdin.readline()
        rollup = dict(line.split(":") for line in open("/proc/self/smaps_rollup").read().splitlines()[1:])
        print(json.dumps({"pss": 1024 * int(rollup["Pss"].split()[0])}))
"""


def search(rows: Rows, folder: Path, before: Path | None, cache: Path, quick: bool) -> None:
    """Measure a candidate's CPU seconds before and after in turns, and the memory of several processes."""
    name = f"parquet:{data('cifar10_train.parquet') / 'cifar10_train.parquet'}"
    roots = {"after": ROOT, **({"before": before} if before else {})}
    for turn in range(1 if quick else 6):
        for version in sorted(roots, reverse=bool(turn % 2)):

            def once(version: str = version) -> dict[str, Any]:
                images = 500 if quick else 4000
                return child(_SEARCH, name, "seconds", images, CELL, root=roots[version], cache=cache)

            rows.get(once, part="search", kind="seconds", version=version, turn=turn)
    images = 2000 if quick else 60_000
    for version in ("none", *roots):
        for number in (2, 8):

            def held(version: str = version, number: int = number) -> dict[str, Any]:
                holds = "" if version == "none" else f"parquet:{small_images(folder / f'small{images}.parquet', images)}"
                return {"images": images, "pss": together(holds, number, roots.get(version, ROOT), cache)}

            rows.get(held, part="search", kind="memory", version=version, number=number)


def small_images(file: Path, images: int) -> Path:
    """Write noise of 32 x 32 as PNG images of ten classes in a Parquet file, unless it is there."""
    if not file.exists():
        import pyarrow as pa
        from pyarrow import parquet

        rng, contents = np.random.default_rng(0), list[bytes]()
        for _ in range(images):
            written = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(written, "png", compress_level=0)
            contents.append(written.getvalue())
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table({"image": contents, "label": [number % 10 for number in range(images)]}), file)
    return file


def together(name: str, number: int, root: Path, cache: Path) -> list[int]:
    """Return the resident memory (PSS, in which shared pages are divided) of processes that all hold a dataset at once."""
    environment = _environment(root, cache)
    made = []
    for _ in range(number):  # one after the other, as decoding takes more memory than holding
        command = [sys.executable, "-c", textwrap.dedent(_SEARCH), name, "memory", "0"]
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        made.append(process)
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit("a process could not load the images")
    found = []
    for process in made:  # all are there while each of them measures
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        found.append(int(json.loads(process.stdout.readline())["pss"]))
    for process in made:
        process.wait()
    return found


_RESUME = """
    import json, sys, time, torch
    from pathlib import Path
    from torch import distributed
    from archsearch import spaces
    from archsearch.evaluators.datasets import load
    from archsearch.evaluators.datasets.streamed import Loading
    from archsearch.evaluators.training.processes import Processes
    from archsearch.evaluators.training.recipe import IMAGENET_MOBILE
    from archsearch.platform.export.facts import TrainingData
    from archsearch.platform.training.final_training import FinalTraining, Parts
    from archsearch.platform.training.progress import EpochProgress
    from archsearch.spaces.strided_stem import StridedStem
    folder, state, rank, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    channels, batch = int(sys.argv[5]), int(sys.argv[6])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{state}.group{sys.argv[7]}", rank=rank, world_size=2)
    name = f"imagefolder:{folder}?size=224&jpeg=fast"
    splits = load(name, loading=Loading(0.0, 1))
    data = TrainingData.of(name, splits, False)
    space = StridedStem(spaces.get("nasbench201"))
    size = {"channels": channels, "cells_per_stage": 1, "stem_halvings": 3}
    recipe = IMAGENET_MOBILE.with_changes(epochs=1, batch_size=batch)
    training = FinalTraining(space, space.parse(sys.argv[8]), data, recipe, 0, size, checkpoint=state, checkpoint_seconds=seconds)
    parts = Parts.of(splits, data, False, torch.device("cpu"))
    network, figures = training.run(parts, EpochProgress(1, None), Processes(rank, 2))
    distributed.destroy_process_group()
    if rank == 0:
        torch.save(network.state_dict(), f"{state}.weights")
        print(json.dumps({**figures, "training_images": len(splits.train)}))
"""


def resume(rows: Rows, folder: Path, cache: Path, quick: bool) -> None:
    """Train twice, once killed in the middle of the epoch, and compare the weights."""
    images, channels, batch = (60, 2, 6) if quick else (5000, 2, 50)
    states = max(1, images // batch // 2 // 5)  # a state is written every four steps, and a fifth of the images is not trained on

    def both() -> dict[str, Any]:
        import torch

        made = photographs(folder / f"large{images}", images, 375, 500) / "images"
        whole, killed = folder / f"whole{images}.pt", folder / f"killed{images}.pt"
        for file in folder.glob("*.pt*"):
            file.unlink()
        figures = pair(made, whole, 1e9, channels, batch, cache)
        pair(made, killed, 0.0, channels, batch, cache, kill=states)
        at = torch.load(killed, weights_only=True)["training"]["within"]
        pair(made, killed, 1e9, channels, batch, cache, attempt=1)
        first, second = (torch.load(f"{state}.weights", weights_only=True) for state in (whole, killed))
        same = all(torch.equal(first[name], second[name]) for name in first)
        return {**figures, "same": same, "killed_after": at["step"], "steps": at["steps"]}

    rows.get(both, part="resume", images=images, channels=channels)


def pair(
    images: Path, state: Path, seconds: float, channels: int, batch: int, cache: Path, attempt: int = 0, kill: int = 0
) -> dict[str, Any]:
    """Train with two processes; with `kill` both get SIGKILL once a state within the epoch has been written so often."""
    environment = _environment(ROOT, cache)
    made = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                textwrap.dedent(_RESUME),
                *map(str, (images, state, rank, seconds, channels, batch, attempt, CELL)),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    written, last = 0, 0
    while written < kill:
        time.sleep(0.02)
        if state.exists() and (now := state.stat().st_mtime_ns) != last:
            written, last = written + 1, now
        if any(process.poll() is not None for process in made):
            raise SystemExit("a process ended before it was killed")
    for process in made:
        if kill:
            process.send_signal(signal.SIGKILL)
    outputs = [process.communicate()[0] for process in made]
    if kill:
        return {}
    if any(process.returncode for process in made):
        raise SystemExit("a training failed")
    found: dict[str, Any] = json.loads(outputs[0].strip().splitlines()[-1])
    return found


def report(rows: Rows) -> None:
    """Print the tables."""
    lines = [
        [
            row["kind"],
            f"{row['images']:,}",
            *map(megabytes, [row["decoded"], row.get("limit"), row["before"], row["peak"], row["peak"] - row["before"]]),
        ]
        for row in rows.select(part="memory")
    ]
    columns = ["images are", "images", "decoded MB", "limit MB", "MB before", "peak MB", "more MB"]
    table(columns, lines, "A training on images of 64 x 64")
    for height in sorted({row["height"] for row in rows.select(part="speed")}):
        ways = {way: rows.select(part="speed", height=height, way=way) for way in ("torchvision", "exact", "fast")}
        rates = {way: [row["images"] / row["cpu"] for row in found] for way, found in ways.items()}
        pairs = list(zip(*(rates[way] for way in ("torchvision", "exact", "fast")), strict=False))
        ratios = {"exact": [ours / other for other, ours, _ in pairs], "fast": [ours / other for other, _, ours in pairs]}
        lines = [[way, f"{np.median(found):,.0f}", average(ratios.get(way, [1.0]))] for way, found in rates.items() if found]
        columns = ["way", "images a CPU second, median", "times torchvision, mean of turns"]
        table(columns, lines, f"JPEG files of {height} pixels to 224 x 224")
    seconds = {version: rows.select(part="search", kind="seconds", version=version) for version in ("before", "after")}
    lines = []
    for earlier, later in zip(seconds["before"], seconds["after"], strict=False):
        same = "the same" if earlier["score"] == later["score"] else "DIFFERS"
        lines.append(
            [earlier["turn"], f"{earlier['cpu']:.2f}", f"{later['cpu']:.2f}", f"{later['cpu'] / earlier['cpu']:.3f}", same]
        )
    table(["turn", "CPU s before", "after", "ratio", "score"], lines, "A candidate: one epoch on 4,000 images of CIFAR-10")
    lines = []
    for row in rows.select(part="search", kind="memory"):
        [*_, without] = rows.select(part="search", kind="memory", version="none", number=row["number"])
        held = sum(row["pss"])
        lines.append([row["version"], row["number"], megabytes(held), megabytes(held - sum(without["pss"]))])
    columns = ["version", "processes", "MB together", "MB more than without images"]
    table(columns, lines, "Resident memory of processes with 60,000 images of 32 x 32 (PSS)")
    lines = [
        [
            f"{row['training_images']:,}",
            row["channels"],
            f"{row['killed_after']} of {row['steps']}",
            "the same" if row["same"] else "DIFFER",
            f"{row['images_per_second']:.1f}",
            f"{100 * row['waiting_for_images']:.0f} %",
        ]
        for row in rows.select(part="resume")
    ]
    columns = ["training images", "channels", "state within the epoch after step", "weights", "images/s", "waiting"]
    table(columns, lines, "An epoch at 224 x 224, two processes, killed and resumed")


def megabytes(number: float | None) -> str:
    return "" if number is None else f"{number / 1e6:,.0f}"


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (default: all)")
    script.argument("--folder", type=Path, help="folder for the photographs (default: a temporary one)")
    script.argument("--before", type=Path, help="folder of a checkout of an earlier version")
    script.argument("--images", nargs=2, type=int, default=[10_000, 100_000], help="images of `memory` (default: 10000 100000)")
    script.argument("--quick", action="store_true", help="tiny sizes, to try the script")
    arguments = script.parse()

    def measure(rows: Rows) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.folder or Path(temporary)
            cache = folder / "cache"
            if "speed" in arguments.parts:
                speed(rows, folder, cache, arguments.quick)
            if "memory" in arguments.parts:
                memory(rows, folder, cache, (500, 2000) if arguments.quick else arguments.images)
            if "search" in arguments.parts:
                search(rows, folder, arguments.before, cache, arguments.quick)
            if "resume" in arguments.parts:
                resume(rows, folder, cache, arguments.quick)

    script.run(measure, report)


if __name__ == "__main__":
    main()
