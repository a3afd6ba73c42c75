"""What a user is told when a cluster is lost; what Ray itself does is tested with real nodes in ``generation/``."""

import logging
import socket
import time

from code_envs.cluster import head_watched


def test_a_head_that_is_gone_is_told_once_and_one_that_answers_is_not(caplog):
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        with caplog.at_level(logging.WARNING), head_watched(address, look=0.05):
            for _ in range(8):  # as often as it looks
                head.accept()[0].close()
            assert caplog.messages == []
            head.close()
            while not caplog.messages:
                time.sleep(0.01)
            time.sleep(0.5)
    (message,) = caplog.messages
    assert address in message
    assert "go on with --resume" in message
