"""The pictures of a run: what is in them, which there are, and that looking changes nothing."""

from statistics import NormalDist

import numpy as np
import pytest
from PIL import Image

from ganspec.spec import load_system
from ganspec.spec.text.distributions import Distribution
from ganspec.spec.training.checkpoint import read_checkpoint
from ganspec.tools import backends
from ganspec.tools.pictures import animation, plots
from ganspec.tools.run.log import RunLog, read_log
from ganspec.tools.sampling import interpolation, manifold
from ganspec.tools.sampling.latents import sample_latents
from support.programs import SMALL_CGAN, SMALL_PROGRESSIVE, fails, ganspec, here

ITERATIONS = 8
# At the start, from the first on every 2nd, after the 4th every 4th, and at the end.
DUE = ["00000000", "00000001", "00000003", "00000005", "00000008"]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder):
    return [path.stem for path in sorted(folder.glob("*.png"))]


def frames(path):
    with Image.open(path) as gif:
        for number in range(gif.n_frames):
            gif.seek(number)
            yield np.asarray(gif.convert("L")), gif.info["duration"]


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """Returns: the folder of a finished run of the gated system, and the system."""
    folder = tmp_path_factory.mktemp("gated")
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(folder / "digits.npz", images=images, labels=np.arange(40) % 10)
    arguments = ["--data", folder / "digits.npz", "--out", folder / "run", "--iterations", ITERATIONS]
    assert here("train", "cgan_mnist", *SMALL_CGAN, *arguments) == 0
    settings = [setting.removeprefix("--set=") for setting in SMALL_CGAN]
    return folder / "run", load_system("cgan_mnist", settings)


def made(gated, latents, labels):
    """Returns: what the trained G makes, as pixels (count, 8, 8), by another way than that of the pictures."""
    folder, system = gated
    state, _ = read_checkpoint(folder / "checkpoints" / f"{ITERATIONS:08}.safetensors")
    trainer = backends.make_trainer("torch", system, 0, state)
    images = trainer.generate(np.array(latents, float), np.array(labels))[:, 0]
    return np.rint(np.clip(images, 0, 1) * 255).astype(int)


def cell(picture, row, column, factor, gap):
    """Returns: one 8x8 image of a grid of which every pixel was repeated."""
    small = picture[::factor, ::factor]
    top, left = row * (8 + gap), column * (8 + gap)
    return small[top : top + 8, left : left + 8].astype(int)


def test_manifold_has_a_frame_each_time_and_label_and_a_gif_of_all_of_them(gated):
    folder, _ = gated
    assert sorted(path.name for path in (folder / "manifold").iterdir()) == list("0123456789")
    for label in range(10):
        assert names(folder / "manifold" / str(label)) == DUE
        # Each frame stands for a tenth of a second, the last one for two seconds; equal frames have become one.
        tenths = [frame for frame, duration in frames(folder / f"manifold-{label}.gif") for _ in range(duration // 100)]
        assert len(tenths) == len(DUE) - 1 + 20
        for frame, name in zip(tenths, DUE, strict=False):
            whole = pixels(folder / "manifold" / str(label) / f"{name}.png")
            assert frame.shape == whole.shape
            assert np.abs(frame.astype(int) - whole).max() <= np.ceil(255 / (animation.GREYS - 1) / 2)
    assert names(folder / "samples") == DUE


def test_manifold_is_of_the_quantiles_of_the_latent(gated):
    folder, _ = gated
    q = [NormalDist().inv_cdf(p) for p in (0.05, 0.5, 0.95)]
    # As the source has it: the first number of the latent goes with the column, the second with the row.
    for label in (0, 7):
        picture = pixels(folder / "manifold" / str(label) / "00000008.png")
        expected = made(gated, [(q[j], q[i]) for i in range(3) for j in range(3)], [label] * 9)
        for i in range(3):
            for j in range(3):
                assert np.abs(cell(picture, i, j, len(picture) // 24, 0) - expected[3 * i + j]).max() <= 1
        assert expected.std(0).max() > 2  # the nine differ, or this test sees nothing


def test_grid_of_a_conditional_system_has_a_class_a_row_and_begins_again_after_the_last(gated):
    folder, system = gated
    picture = pixels(folder / "samples" / "00000008.png")
    z, labels = sample_latents(system, 0)
    assert labels.reshape(12, 2).tolist() == [[row % 10] * 2 for row in range(12)]
    expected = made(gated, z, [row % 10 for row in range(12) for _ in range(2)])
    factor = max(1, round(512 / (12 * 10 - 2)))
    assert picture.shape == ((12 * 10 - 2) * factor, (2 * 10 - 2) * factor)
    for i, image in enumerate(expected):
        assert np.abs(cell(picture, i // 2, i % 2, factor, 2) - image).max() <= 1


def test_interpolation_goes_from_latent_to_latent_and_keeps_the_label_of_a_row(gated):
    folder, system = gated
    z, labels = interpolation.interpolation_latents(system, 0)
    assert z.shape == (12 * interpolation.COLUMNS, 2)
    assert (labels.reshape(12, -1) == np.arange(12)[:, None] % 10).all()
    picture = pixels(folder / "interpolation.png")
    factor = max(1, round(512 / (12 * 10 - 2)))
    for i, image in enumerate(made(gated, z, labels)):
        assert np.abs(cell(picture, i // 10, i % 10, factor, 2) - image).max() <= 1


def test_interpolation_is_straight_between_uniform_latents_and_on_a_circle_between_normal_ones():
    a, b = np.array([[3.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 3.0], [-1.0, -1.0]])
    straight = interpolation.between(Distribution("uniform", -4, 4), a, b).reshape(2, 10, 2)
    assert np.allclose(straight[0, :, 0], np.linspace(3, 0, 10))
    assert np.allclose(straight[0, :, 1], np.linspace(0, 3, 10))
    circle = interpolation.between(Distribution("normal", 0, 1), a, b).reshape(2, 10, 2)
    angles = np.linspace(0, np.pi / 2, 10)
    assert np.allclose(circle[0], 3 * np.stack([np.cos(angles), np.sin(angles)], 1))
    # Opposite latents lie on every circle through the middle: a straight line then, and no division by zero.
    assert np.allclose(circle[1], straight[1])
    assert np.allclose(circle[:, 0], a)
    assert np.allclose(circle[:, -1], b)
    moved = interpolation.between(Distribution("normal", 5, 2), a + 5, b + 5).reshape(2, 10, 2)
    assert np.allclose(moved, circle + 5)


def test_quantiles_are_those_of_the_distribution():
    p = np.array([0.05, 0.5, 0.95])
    assert np.allclose(manifold.quantiles(Distribution("normal", 1, 2), p), [1 - 2 * 1.6448536, 1, 1 + 2 * 1.6448536])
    assert np.allclose(manifold.quantiles(Distribution("uniform", -1, 3), p), [-0.8, 1, 2.8])


def test_manifold_of_an_unconditional_generator_is_one_picture(images, tmp_path):
    settings = (
        "networks.G={ use = 'mlp_generator', latent = 2, width = 6, size = 6 }",
        "networks.D={ use = 'mlp_discriminator', width = 5, size = 6 }",
        "data.shape=[1, 6, 6]", "run.batch=4", "run.samples_every=1", "manifold={ side = 2, low = 0.1, high = 0.9 }",
    )  # fmt: skip
    sets = [f"--set={setting}" for setting in settings]
    out = tmp_path / "run"
    assert here("train", "wgan_gp_mlp_mnist", *sets, "--data", images, "--out", out, "--iterations", 2) == 0
    assert names(out / "manifold") == ["00000000", "00000001", "00000002"]
    assert 1 <= len(list(frames(out / "manifold.gif"))) <= 3  # equal frames, of so short a training, become one
    assert sum(duration for _, duration in frames(out / "manifold.gif")) == 2200


def test_large_and_coloured_frames_become_a_small_animation(tmp_path):
    paths = []
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (900, 600, 3), np.uint8)
        paths.append(tmp_path / f"{number:08}.png")
        Image.fromarray(noise).save(paths[-1])
    (tmp_path / "a.gif").write_bytes(animation.animation(paths))
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 3
        assert max(gif.size) == animation.MOST_PIXELS
        for number in range(3):
            gif.seek(number)
            assert len(gif.convert("RGB").getcolors(10**6)) <= animation.COLOURS


def test_a_frame_that_is_no_picture_is_said_by_name(gated, tmp_path):
    path = tmp_path / "00000002.png"
    path.write_bytes(b"\x89PNG nothing")
    with pytest.raises(Exception, match=r"00000002\.png: is not a whole picture .* move it away"):
        animation.animation([path])


def test_images_of_early_stages_of_growth_are_enlarged_to_the_size_of_the_data(colours, tmp_path):
    out = tmp_path / "run"
    arguments = ["--data", colours, "--out", out, "--iterations", 8]
    assert here("train", "progressive_cifar10", *SMALL_PROGRESSIVE, *arguments) == 0
    side = {}
    for name in names(out / "samples"):
        picture = pixels(out / "samples" / f"{name}.png")
        factor = round(512 / 28)
        assert picture.shape == (18 * factor, 28 * factor, 3)
        image = picture[: 8 * factor : factor, : 8 * factor : factor]
        # Side of the blocks of equal pixels: 8 of an image of one pixel, 1 of one of 8x8.
        side[int(name)] = next(n for n in (8, 4, 2, 1) if all((b == b[0, 0]).all() for b in blocks(image, n)))
    # In iteration 4 the 4x4 pixels have just begun to fade in: all is still of the 2x2 before.
    assert side == {0: 8, 1: 8, 2: 4, 3: 4, 4: 4, 5: 2, 6: 2, 7: 1, 8: 1}


def blocks(image, n):
    return [image[i : i + n, j : j + n] for i in range(0, 8, n) for j in range(0, 8, n)]


def test_moving_average_is_of_what_there_is():
    values = np.array([1.0, 2.0, np.nan, 4.0, np.nan, np.nan, np.nan, 8.0])
    means = plots.moving_average(values, 3, np.arange(8))
    np.testing.assert_allclose(means, [1, 1.5, 1.5, 3, 4, 4, np.nan, 8])
    assert plots.moving_average(values, 1000, np.array([7]))[0] == 3.75


def test_plots_are_drawn_of_one_row_of_many_and_of_columns_without_values(tmp_path):
    for count in (1, 5000):
        log = RunLog(tmp_path / f"{count}.csv")
        log.open(("iteration", "epoch", "often", "seldom", "never"), 0)
        log.append((i, 0, i**0.5, i if i % 3 == 0 else "", "") for i in range(1, count + 1))
        log.close()
        columns, table = read_log(log.path)
        (tmp_path / "losses.png").write_bytes(plots.plot_columns(columns, table, 1000))
        assert pixels(tmp_path / "losses.png").std() > 1
        assert columns[-1] == "never"
        assert table.shape == (count, 5)
        assert np.isnan(table[:, 4]).all()


def test_a_step_that_is_skipped_leaves_an_empty_cell(images, tmp_path):
    (tmp_path / "lazy.toml").write_text(
        'title = "G moves in every third iteration"\nsource = "a test"\n[redraw]\ndata = "repeat"\nnoise = "repeat"\n'
        '[[steps]]\nupdate = ["D"]\n[[steps]]\nupdate = ["G"]\nrepeat = 0\n'
        "repeat_override = { repeat = 1, first = 0, every = 3 }\n"
    )
    (tmp_path / "mine.toml").write_text(
        'title = "lazy"\nsource = "a test"\nlike = "wgan_gp_mlp_mnist"\nschedule = "lazy.toml"\ndata.shape = [1, 6, 6]\n'
        "networks.G = { latent = 3, width = 6, size = 6 }\nnetworks.D = { width = 5, size = 6 }\nrun.batch = 4\n"
    )
    out = tmp_path / "run"
    assert here("train", tmp_path / "mine.toml", "--data", images, "--out", out, "--iterations", 7) == 0
    rows = [row.split(",") for row in (out / "log.csv").read_text().splitlines()]
    there = [bool(row[rows[0].index("loss_G")]) for row in rows[1:]]
    assert there == [True, False, False, True, False, False, True]
    assert all(row[rows[0].index("loss_D")] for row in rows[1:])
    assert (out / "losses.png").exists()


def test_a_generator_of_what_is_not_drawn_is_refused(images, tmp_path):
    (tmp_path / "loss.toml").write_text(
        'title = "t"\nsource = "a test"\n[losses]\nD = "mean(D(G(2 * z))) - mean(D(x))"\nG = "-mean(D(G(2 * z)))"\n'
    )
    (tmp_path / "mine.toml").write_text(
        'title = "t"\nsource = "a test"\nlike = "wgan_gp_mlp_mnist"\nloss = "loss.toml"\ndata.shape = [1, 6, 6]\n'
        "networks.G = { latent = 3, width = 6, size = 6 }\nnetworks.D = { width = 5, size = 6 }\nrun.batch = 4\n"
        'draws.z = { sample = "uniform(-1, 1)", shape = [3] }\n'
    )
    process = ganspec("train", tmp_path / "mine.toml", "--data", images, "--out", tmp_path / "run")
    assert fails(process, "never give G a draw as its input z")
    assert not (tmp_path / "run").exists()
