"""State dicts that PyTorch or safetensors wrote, as arrays of NumPy. Nothing but tensors and plain numbers is ever opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganspec.tools.errors import reason
from ganspec.tools.porting.carry_errors import CarryError
from ganspec.tools.porting.snapshot_files import MAX_SNAPSHOT_BYTES


def is_safetensors(path: Path) -> bool:
    """Returns: whether a file looks like one of safetensors."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def read_tensors(path: Path) -> dict[str, Any]:
    """Returns: what a file of PyTorch holds, with arrays of NumPy in place of tensors."""
    if not path.is_file():
        raise CarryError("there is no such file", path, "give a state dict, as safetensors or by torch.save")
    if path.stat().st_size > MAX_SNAPSHOT_BYTES:
        raise CarryError("is too large", path, f"give at most {MAX_SNAPSHOT_BYTES / 2**30:g} GiB")
    try:
        import torch
        from safetensors.torch import load_file

        if is_safetensors(path):
            return _numpy(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except ModuleNotFoundError:
        raise CarryError("PyTorch is not installed", path, "install it: pip install 'ganspec[torch]'") from None
    except OSError as error:
        raise CarryError(f"cannot be read: {reason(error)}", path, "mend that") from None
    except Exception:  # what torch.load and its unpickler raise of a foreign or damaged file is of many types
        remedy = "save it with torch.save(model.state_dict(), path)"
        raise CarryError("is damaged, or holds more than tensors, which is never opened", path, remedy) from None
    if not isinstance(loaded, Mapping) or not all(isinstance(key, str) for key in loaded):
        raise CarryError("is no state dict", path, "save it with torch.save(model.state_dict(), path)")
    return _numpy(loaded)


def _numpy(value: Any) -> Any:
    """Returns: the same with arrays of NumPy in place of tensors; bfloat16, which NumPy lacks, becomes float32."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy()
    if isinstance(value, Mapping):
        return {key: _numpy(one) for key, one in value.items()}
    return [_numpy(one) for one in value] if isinstance(value, (list, tuple)) else value


def flat_state(tensors: dict[str, Any]) -> dict[str, Any]:
    """Returns: the state of an optimiser as `carried()` gives it, of that or of a `state_dict()`."""
    groups, states = tensors.get("param_groups"), tensors.get("state")
    if not isinstance(groups, list) or not isinstance(states, dict):
        return tensors
    if not all(isinstance(group, dict) for group in groups) or not all(
        isinstance(state, dict) for state in states.values()
    ):
        return tensors
    flat: dict[str, Any] = {}
    for group in groups:
        flat |= {key: group.get(key) for key in ("t", "epoch")}
        for number, name in zip(group.get("params", []), group.get("param_names", []), strict=False):
            moments = states.get(number, {"t": 0})
            flat |= {f"{name}/{key}": value for key, value in moments.items() if key != "beta_power"}
    return flat
