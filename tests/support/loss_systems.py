"""Tiny networks for each packaged loss, and its formula."""

from support import formulas
from support.formulas import LABELS
from support.tiny_systems import GENERATOR, NORMAL, critic

HOT = '{ kind = "one_hot", name = "code", from = "y", on = 1, off = 0 }, { kind = "concat", from = ["FIRST", "code"] },'
CONDITIONAL_G = f"z = [2]\ny = {{ labels = {LABELS} }} | " + HOT.replace("FIRST", "z") + GENERATOR.partition("|")[2]
LABELLED = {"inputs": f"x = [1, 2, 2]\ny = {{ labels = {LABELS} }}", "code": HOT.replace("FIRST", "pixels")}
AUTOENCODER = critic(4, ', { kind = "reshape", shape = [1, 2, 2] }')
TWO_LATENTS = "\n".join(f'{z} = {{ sample = "normal(0, 1)", shape = "G.z" }}' for z in ("z", "z2"))
TWO_LABELS = (
    f'z = {{ sample = "normal(0, 1)", shape = "G.z" }}\nc = {{ sample = "uniform(0, {LABELS})", shape = "G.y" }}'
)
DENOISER = (
    'f = [3] | { kind = "batch_norm", name = "bn", epsilon = 1e-3, momentum = 0.1, gamma = "none", beta = "none" }, '
    f'{{ kind = "linear", name = "l", units = 3, {NORMAL} }}'
)
HEADS = (
    'x = [1, 2, 2] | { kind = "flatten" }, '
    f'{{ kind = "linear", name = "l1", units = 3, {NORMAL} }}, {{ kind = "tanh", name = "h" }}, '
    f'{{ kind = "linear", name = "first", from = "h", units = 1, {NORMAL} }}, '
    f'{{ kind = "linear", name = "second", from = "h", units = {LABELS}, {NORMAL} }} | '
    'outputs = { source = "first", class = "second" }'
)

PLAIN = {"G": GENERATOR, "D": critic()}
PAIR = {"G": GENERATOR, "D": critic(3)}
SIGMOID = critic(1, ', { kind = "sigmoid" }', **LABELLED)
FEATURES = critic().replace("outputs", "") + ' | outputs = { feature = "l1", logit = "l2" }'
# name: the formula, the networks, and what else the system needs
LOSSES = {
    "two_class": (formulas.two_class, {"G": GENERATOR, "D": critic(2)}, {}),
    "minimax": (formulas.minimax, PLAIN, {}),
    "non_saturating": (formulas.non_saturating, PLAIN, {}),
    "cgan": (formulas.cgan, {"G": CONDITIONAL_G, "D": critic(**LABELLED)}, {"labels": LABELS}),
    "cgan_probabilities": (formulas.cgan_probabilities, {"G": CONDITIONAL_G, "D": SIGMOID}, {"labels": LABELS}),
    "wgan": (formulas.wgan, PLAIN, {}),
    "wgan_gp": (formulas.wgan_gp, PLAIN, {}),
    "conditional_wgan_gp": (
        formulas.conditional_wgan_gp, {"G": CONDITIONAL_G, "D": critic(**LABELLED)}, {"labels": LABELS, "draws": TWO_LABELS},
    ),
    "hinge": (formulas.hinge, PLAIN, {}),
    "lsgan": (formulas.lsgan, PLAIN, {}),
    "dragan": (formulas.dragan, PLAIN, {}),
    "dragan_official": (formulas.dragan_official, PLAIN, {}),
    "cramer": (formulas.cramer, PAIR, {"draws": TWO_LATENTS}),
    "cramer_paper": (formulas.cramer_paper, PAIR, {"draws": TWO_LATENTS}),
    "cramer_v2": (formulas.cramer_v2, PAIR, {"draws": TWO_LATENTS}),
    "began": (formulas.began, {"G": GENERATOR, "D": AUTOENCODER}, {}),
    "began_paper": (formulas.began, {"G": GENERATOR, "D": AUTOENCODER}, {}),
    "denoising_feature_matching": (formulas.denoising_feature_matching, {"R": DENOISER, "G": GENERATOR, "D": FEATURES}, {}),
    "ac_wgan_gp": (
        formulas.ac_wgan_gp, {"G": CONDITIONAL_G, "D": critic(), "C": critic(LABELS)}, {"labels": LABELS},
    ),
    "acgan": (formulas.acgan, {"G": CONDITIONAL_G, "D": HEADS}, {"labels": LABELS}),
    "progressive_wgan_gp": (
        formulas.progressive_wgan_gp,         {**PLAIN, "S": 'x = [1, 4, 4] | { kind = "avg_pool", kernel = 2, stride = 2 }'},
        {"shape": (1, 4, 4)},
    ),
}  # fmt: skip
