"""Named pipes, sockets and devices are refused by name and never opened, so that nothing waits for them; and links."""

from __future__ import annotations

import os
import socket

import numpy as np
import pytest

from ganspec.tools import data
from support.data.download_site import whole


def refused(path, *words) -> None:
    with pytest.raises(data.DataError) as caught:
        data.load(path, shape=(1, 5, 7), fit="exact")
    message = str(caught.value)
    assert message.startswith(str(path))
    for word in words:
        assert word in message, message


def test_special_files_are_not_opened(tmp_path, write, some):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is a named pipe, not a regular file")
    with pytest.raises(data.DataError, match="does not exist"):
        data.load(tmp_path / "pipe" / "test_batch", shape=(1, 5, 7), fit="exact")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        refused(tmp_path / "socket", "is a socket, not a regular file")
    if os.path.exists("/dev/zero"):
        with pytest.raises(data.DataError, match="is a device, not a regular file"):
            data.load("/dev/zero", shape=(1, 5, 7), fit="exact")
    folder = write.tree(tmp_path / "faces", write.pictures_of(some))
    os.mkfifo(folder / "pipe.png")
    refused(folder, "'pipe.png'", "is a named pipe, not a regular file")


def test_named_pipe_beside_the_images_or_among_the_batches_is_not_opened(tmp_path, write, some):
    (tmp_path / "my-images-idx3-ubyte").write_bytes(write.idx(some[:, 0]))
    os.mkfifo(tmp_path / "my-labels-idx1-ubyte")
    with pytest.raises(data.DataError, match="my-labels-idx1-ubyte: is a named pipe"):
        data.load(tmp_path / "my-images-idx3-ubyte", shape=(1, 5, 7), fit="exact")
    batches = write.tree(tmp_path / "batches", {f"data_batch_{i}": b"" for i in range(1, 5)})
    os.mkfifo(batches / "data_batch_5")
    refused(batches, "lacks data_batch_5")


def test_link_to_a_folder_is_refused_and_a_link_to_a_file_followed(tmp_path, write, some):
    outside = write.tree(tmp_path / "outside", {"a.png": write.picture(some[1])})
    folder = write.tree(tmp_path / "faces", {"b.png": write.picture(some[0])})
    os.symlink(outside / "a.png", folder / "a.png")
    found = data.load(folder, shape=(1, 5, 7), fit="exact")
    np.testing.assert_array_equal(found.images, some[[1, 0]])
    os.symlink(folder, folder / "loop")
    refused(folder, "'loop'", "link to a folder")


@pytest.mark.parametrize("place", ["path", "part", "note"])
def test_download_does_not_open_a_named_pipe(place, server, there):
    pipe = getattr(there, place)
    os.mkfifo(pipe)
    with pytest.raises(data.DataError, match=f"{pipe.name}: is a named pipe, not a regular file"):
        data.download("set", there.root)
    pipe.unlink()
    whole(there)
