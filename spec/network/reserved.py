"""Names that the frameworks own.

A layer with parameters or statistics becomes an attribute of a `torch.nn.Module` and of a `chainer.Chain`, and users hold whole
networks as such attributes. A layer called "training" or "xp" would replace what the framework keeps under that name. The names
are data here, because `spec` imports neither framework; a test compares them with both.
"""

from __future__ import annotations

OWNED = {
    "a torch.nn.Module": """
        T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
        extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
        named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
        register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
        register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
        register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
        state_dict to to_empty train training type xpu zero_grad
    """,
    "a chainer.Chain": """
        add_hook add_link add_param add_persistent addgrads children cleargrads copy copyparams count_params delete_hook device
        device_resident_accept disable_update enable_update forward from_chx from_params init_scope links local_link_hooks name
        namedlinks namedparams params printable_specs register_persistent repeat serialize to_chx to_cpu to_device to_gpu
        to_intel64 update_enabled within_init_scope xp zerograds
    """,
    "ganspec's Network": "architecture evaluate_layers fade from_run from_system load_training_state",
}
_OWNERS = {name: owner for owner, owned in reversed(OWNED.items()) for name in owned.split()}


def reason_to_refuse(name: str) -> str:
    """Returns: why a network, or a layer with parameters, cannot have this name; "" where it can."""
    if name.startswith("_"):
        return f"'{name}' starts with '_', as the attributes do that frameworks keep for themselves"
    if (owner := _OWNERS.get(name)) is None:
        return ""
    return f"{owner} has an attribute '{name}' of its own, which this would replace"
