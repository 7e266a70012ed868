"""What `ganspec show` and `ganspec systems` say of every system."""

import pytest

from ganspec.spec import load_system, system_names
from ganspec.tools.programs.show import lines
from support.programs import here


@pytest.mark.parametrize("name", system_names())
def test_every_system_is_shown_whole_and_planned(name, capsys):
    system = load_system(name)
    assert here("show", name) == 0
    text = capsys.readouterr().out
    for network in system.networks.values():
        assert f"{network.parameter_count:,} parameters" in text
        assert all(f"\n  {layer.name} " in text for layer in network.layers)
    assert all(part in text for part in (system.title, system.source, system.loss.title, system.schedule.title))
    assert all(f"report {report}, with " in text for report in system.loss.reports)
    assert all(
        f"  {name}: {o.kind}, learning_rate = {o.learning_rate}" in text for name, o in system.optimizers.items()
    )
    assert here("show", name, "--reduced") == 0
    assert system.plan.steps[0].step.update[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("cgan_mnist", [
            "rmsprop, learning_rate = 0.0001, decay = 0.9, start = 1.0, epsilon = 1e-10, epsilon_place = inside",
            "5,000 iterations, in batches of 256", "samples every 20 iterations from iteration 1 on, every 200 after 2,001",
            "15x15 quantiles of its latent, from 0.05 to 0.95", "5 times, at most, until L_D is below 1",
            "report L_D, with D and G", "--download fetches mnist", "the digits that ship",
        ]),
        ("progressive_cifar10", [
            "growth: 7 stages, each for 400,000 images", "stage 3, from iteration 75,000", "out: 3x16x16, 26 layers, fading in",
            "G: average <- 0.999 average + 0.001 value, after each iteration", "in the last stage",
        ]),
        ("wgan_cifar10", ["clipped to [-0.01, 0.01] after each update", "100 times in the first 25 iterations and every 500th"]),
        ("wgan_cifar10/authors", ["clipped to [-0.01, 0.01] before each step that updates it"]),
        ("sndcgan_cifar10", ["spectral_norm (iterations 1"]),
        ("began_mnist", ["50 epochs", "plots show means of 1,000", "whose mean M did not fall"]),
        ("ac_wgan_gp_cifar10", ["keep %", "kept "]),
        ("began_faces64", [
            "constants (change with --set constants.NAME=VALUE): channels = 3, size = 64, n = 128, code = 64",
            "D must have the shape of x",
        ]),
        ("hinge_cifar10", ["D must give 1 number per sample"]),
    ],
)  # fmt: skip
def test_what_is_special_about_a_system_is_shown(name, texts, capsys):
    assert here("show", name) == 0
    shown = capsys.readouterr().out
    for text in texts:
        assert text in shown, text


def test_growth_is_shown_from_where_it_starts(capsys):
    assert here("show", "progressive_cifar10", "--set", "growth.start={ stage = 2, fade = 0.5 }") == 0
    shown = capsys.readouterr().out
    assert "training starts in stage 2, of which 0.5 counts as done" in shown
    assert all(
        line in shown
        for line in ("stage 1, before the start", "stage 2, from iteration 0\n", "stage 3, from iteration 12,500\n")
    )


RUN_AND_DATA = [
    "run.keep={ last = 7 }", "run.keep={ last = 3, every = 1000 }", "run.keep={ last = 3, best = 'fid' }",
    "run.metrics={ measure = ['fid', 'kid'], every = 500, images = 2000 }", "run.grid=[3, 4]", "run.batch=7",
    "run.epochs=7", "run.samples_every=7", "run.samples_from=7", "run.samples_later={ after = 7, every = 70 }",
    "run.checkpoint_every=7", "run.moving_average=7", "data.range=[0, 2]", "data.fit=resize",
    "data.skip_grey=true", "data.leftover=drop", "data.first_pass=in_order", "data.crop=centre", "data.flip=true",
    "data.dataset=lfw",
]  # fmt: skip


@pytest.mark.parametrize("setting", RUN_AND_DATA)
def test_every_key_of_run_and_data_is_shown(setting):
    name = "dcgan_cifar10"
    assert lines(load_system(name, [setting])) != lines(load_system(name))


def test_checkpoints_and_metrics_are_shown_in_words(capsys):
    assert here("show", "gan_mlp_mnist") == 0
    assert "  of the checkpoints are kept: the newest 3\n" in capsys.readouterr().out
    keep = "run.keep={ last = 2, every = 10000, best = 'fid' }"
    metrics = "run.metrics={ measure = ['fid', 'kid'], every = 500, images = 2000, extractor = 'digits' }"
    assert here("show", "gan_mlp_mnist", "--set", keep, "--set", metrics) == 0
    shown = capsys.readouterr().out
    assert "of the checkpoints are kept: the newest 2 and those of every 10,000 iterations and the best fid\n" in shown
    assert "measured every 500 iterations: fid, kid, of 2,000 samples, features from digits\n" in shown


def test_systems_are_listed_in_a_table_with_data_set_and_title(capsys):
    assert here("systems") == 0
    heading, *rows = capsys.readouterr().out.splitlines()[:-2]
    assert heading.split() == ["SYSTEM", "DATA", "SET", "IMAGES", "TITLE"]
    assert [row.split()[0] for row in rows] == system_names()
    column = heading.index("TITLE")
    assert [row[column:] for row in rows] == [load_system(name).title for name in system_names()]
    assert next(row for row in rows if row.startswith("cgan_mnist ")).split()[1:3] == ["mnist*", "1x28x28"]
    assert next(row for row in rows if row.startswith("began_faces64 ")).split()[1:3] == ["lfw", "3x64x64"]
