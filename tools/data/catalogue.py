"""The published data sets that `download` knows: addresses, sizes and checksums of their files.

A row is data and nothing else; to add a data set, add a row. Sizes and MD5 are as published, or as the libraries named in
a row's source have recorded them for years; SHA-256 stands beside MD5 wherever it has been published. A file must agree
with everything in its row, so any mirror can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published file.

    Args:
        name: file name on disk.
        size: exact number of bytes; no more are accepted from a server.
        md5: MD5 in hex, None where it has not been published; then SHA-256 has.
        sha256: SHA-256 in hex, None where it has not been published.
        urls: addresses, tried in this order.
    """

    name: str
    size: int
    md5: str | None
    sha256: str | None
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """One published data set.

    Args:
        title: description for people.
        source: publisher of the data set, and publishers of its checksums.
        files: files that are fetched.
        read: name of the file that `load` is given, or "" for the folder that holds them all.
    """

    title: str
    source: str
    files: tuple[Published, ...]
    read: str


def _mnist(name: str, size: int, md5: str, sha256: str) -> Published:
    mirrors = "https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"
    return Published(name, size, md5, sha256, tuple(mirror + name for mirror in mirrors))


def _cifar(name: str, size: int, md5: str, sha256: str) -> Published:
    return Published(name, size, md5, sha256, (f"https://www.cs.toronto.edu/~kriz/{name}",))


CATALOGUE = {
    "mnist": Known(
        "MNIST, 60,000 and 10,000 grey digits 28x28 with labels",
        "LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist/; MD5 in torchvision, SHA-256 in TensorFlow Datasets",
        (
            _mnist(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            _mnist(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            _mnist(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            _mnist(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        "",
    ),
    "cifar10": Known(
        "CIFAR-10, 50,000 and 10,000 colour images 32x32 of ten classes, as Python pickles (of which no function is called)",
        "Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html (MD5); SHA-256 in Keras",
        (
            _cifar(
                "cifar-10-python.tar.gz",
                170_498_071,
                "c58f30108f718f92721af3b95e74349a",
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
        ),
        "cifar-10-python.tar.gz",
    ),
    "cifar10-binary": Known(
        "CIFAR-10, the same images as binary records",
        "Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html (MD5); SHA-256 in TensorFlow Datasets",
        (
            _cifar(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c32a1d4ab5d03f1284b67883e8d87530",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        "cifar-10-binary.tar.gz",
    ),
    "lfw": Known(
        "Labeled Faces in the Wild, deep-funneled: 13,233 photographs 250x250",
        "Huang, Mattar, Lee, Learned-Miller 2012, http://vis-www.cs.umass.edu/lfw/ (MD5); also in torchvision",
        (
            Published(
                "lfw-deepfunneled.tgz",
                108_761_145,
                "68331da3eb755a505a502b5aacb3c201",
                None,
                (
                    "http://vis-www.cs.umass.edu/lfw/lfw-deepfunneled.tgz",
                    # The university's server has been unreachable for months at a time; this is the file that it gave in 2023.
                    "https://web.archive.org/web/20231118124720if_/https://vis-www.cs.umass.edu/lfw/lfw-deepfunneled.tgz",
                ),
            ),
        ),
        "lfw-deepfunneled.tgz",
    ),
}
