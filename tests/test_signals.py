import os
import signal
import threading
import time

import pytest

from mdlib.signals import StopRequest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_only_noted(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert stop.name is None
        os.kill(os.getpid(), number)
        assert stop.name == number.name
    assert signal.getsignal(number) is before


def test_a_second_one_acts():
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        while stop.name is None:  # of two that wait at once the system tells one
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)


def test_outside_the_main_thread_nothing_is_caught():
    names = []

    def run():
        with StopRequest() as stop:
            names.append(stop.name)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert names == [None]


def test_any_thread_may_ask():
    with StopRequest() as stop:
        thread = threading.Thread(target=stop.ask, args=("a button",))
        thread.start()
        thread.join()
        assert stop.name == "a button"
