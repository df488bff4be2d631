"""Functions that threads post run in the thread that owns the mailbox, in order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from archsearch.cluster.pool.mailbox import Mailbox


class Reference:
    """Stands for an object reference of Ray."""

    def __init__(self) -> None:
        self.answer: Future[int] = Future()

    def future(self) -> Future[int]:
        return self.answer


def test_all_that_was_posted_runs_in_order() -> None:
    mailbox, ran = Mailbox(), []
    for number in range(5):
        mailbox.post(lambda number=number: ran.append(number))
    mailbox.run(0)
    assert ran == [0, 1, 2, 3, 4]


def test_an_answer_arrives_as_a_function_in_the_owning_thread() -> None:
    mailbox, reference, found = Mailbox(), Reference(), []
    mailbox.ask(reference, lambda answer: found.append((answer.result(), threading.current_thread())))
    other = threading.Thread(target=reference.answer.set_result, args=(7,))
    other.start()
    mailbox.run(None)
    assert found == [(7, threading.current_thread())]


def test_running_waits_for_the_first_function_up_to_the_timeout() -> None:
    mailbox, ran = Mailbox(), []
    mailbox.run(0.01)
    timer = threading.Timer(0.05, mailbox.post, [lambda: ran.append(time.monotonic())])
    timer.start()
    mailbox.run(60.0)
    assert len(ran) == 1
