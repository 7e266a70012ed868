"""Compare 20 iterations that PyTorch trained further with the same 20 that Chainer trained further."""

import json

import numpy as np
import torch

with open("losses.json") as file:
    ported = json.load(file)
with open("continued/log") as file:
    chainers = json.load(file)[-20:]
losses = max(abs(a[name] - b[name]) for a, b in zip(ported, chainers, strict=True) for name in a)
print(f"losses: at most {losses:.1e} apart")

snapshot = np.load("continued/snapshot_iter_40")
for name, folder in (("gen", "gen_torch"), ("dis", "dis_torch")):
    with open(f"{folder}/names.json") as file:
        arrays = json.load(file)["arrays"]
    weights = torch.load(f"{folder}/continued.pt", weights_only=True)
    apart = max(
        float(np.max(np.abs(weights[key].numpy() - snapshot[f"updater/model:{name}/{array['path']}"])))
        for key, array in arrays.items()
        if not key.endswith("num_batches_tracked")  # PyTorch counts batches, Chainer does not; neither uses the count
    )
    print(f"{name}: weights and statistics at most {apart:.1e} apart")
    losses = max(losses, apart)
raise SystemExit(losses > 1e-10)
