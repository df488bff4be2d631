"""The progress line of a final training."""

from __future__ import annotations

import io
import time

from archsearch.evaluators.training.loop import Throughput
from archsearch.platform.training.progress import EpochProgress


def test_progress_tells_epochs_accuracy_and_time_left() -> None:
    stream = io.StringIO()
    progress = EpochProgress(10, stream)
    progress.begin(4)
    time.sleep(0.01)
    progress.show(5, 1.5, 0.5)
    progress.show(6, 1.25, 0.6)  # too soon for a log
    progress.show(10, 0.5, None)
    first, second, last = stream.getvalue().splitlines()
    assert first == "Resuming after epoch 4 of 10."
    assert second.startswith("epoch 5/10, loss 1.5, validation accuracy 50.00 %, ")
    assert second.endswith(" left")
    assert last.startswith("epoch 10/10, loss 0.5, ")
    assert "left" not in last


def test_a_terminal_gets_one_line_and_a_line_feed_at_the_end() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    progress = EpochProgress(2, stream := Terminal())
    progress.begin(0)
    time.sleep(0.01)
    progress.show(1, 1.5, None)
    progress.show(2, 1.25, None)
    progress.end()
    _, first, last = stream.getvalue().split("\r\x1b[K")
    assert first.startswith("epoch 1/2, loss 1.5, ") and last.startswith("epoch 2/2, loss 1.25, ") and last.endswith("\n")


def test_without_a_stream_nothing_happens() -> None:
    progress = EpochProgress(2, None)
    progress.begin(1)
    progress.show(2, 1.0, 0.5)
    progress.end()


def test_progress_within_an_epoch_tells_images_a_second_and_waiting() -> None:
    stream = io.StringIO()
    progress = EpochProgress(10, stream)
    progress.begin(4.25)
    time.sleep(0.01)
    progress.move(4.5, Throughput(images=3000, seconds=2.0, waited=0.5))
    progress.show(10, 1.0, 0.5, Throughput(images=3000, seconds=2.0, waited=0.01))
    first, second, last = stream.getvalue().splitlines()
    assert first == "Resuming after epoch 4 of 10 and 25 % of the next."
    assert second.startswith("epoch 5/10 (50 %), 1,500 images/s, 25 % of the time waiting for images, ")
    assert last.startswith("epoch 10/10, loss 1, validation accuracy 50.00 %, 1,500 images/s, ") and "waiting" not in last
