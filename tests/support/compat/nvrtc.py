"""Kernels as CuPy would compile them, without a device: CuPy's own code generation and NVRTC.

CuPy's functions for that are private; they are those of CuPy 14. Imports CuPy when asked to compile.
"""

import functools
import importlib
import re
from pathlib import Path

import numpy as np

ARCHITECTURE = "90"
_HEADERS = ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")
_INTEGERS = frozenset("SI")
# Where a letter is neither label nor number: the addresses that arrays are copied between, and their lengths.
_OTHERS = {
    "_memcpy_gather": {"T": np.uint64, "X": np.int8, "Y": np.int32},
    "_memcpy_scatter": {"T": np.uint64, "X": np.int8, "Y": np.int32},
    "pad_sequence_fwd": {"P": np.uintp},
}

# Kernels of functions that refuse half precision.
_NO_HALF = frozenset({"resize_images_interpolate_bilinear", "resize_images_interpolate_grad_bilinear"})


def type_choices(letters, name):
    """Yield the types to compile a kernel with: each precision, and half precision with single beside it."""
    others = _OTHERS.get(name, {})
    floats = [letter for letter in letters if letter not in _INTEGERS and letter not in others]
    # In Adam P is the parameter, and T, the state, is never half; elsewhere T is the data and U, V the statistics.
    narrow = "P" if "P" in floats else "T"
    choices = [(np.float32, np.float32, np.int32), (np.float64, np.float64, np.int64)]
    if len(floats) > 1:
        choices.append((np.float16, np.float32, np.int32))
    if narrow == "T" and name not in _NO_HALF:
        choices.append((np.float16, np.float16, np.int32))
    for first, second, integer in choices if floats else choices[:1]:
        yield {
            letter: others.get(letter) or (integer if letter in _INTEGERS else first if letter == narrow else second)
            for letter in letters
        }


def _dimensions(code):
    """Return the number of indices of each array of a kernel, where they are given as an array."""
    lengths = {m[1]: m[2].count(",") + 1 for m in re.finditer(r"(\w+)\[\]\s*=\s*\{([^}]*)\}", code)}
    return {m[1]: lengths[m[2]] for m in re.finditer(r"(\w+)\[(\w+)\]", code) if m[2] in lengths}


def _sources(kernel):
    """Yield ``(types, source)`` for each choice of types."""
    import cupy
    from cupy._core import _kernel, _reduction

    options = dict(kernel.options)
    if kernel.emitter == "raw":
        yield {}, kernel.arguments[0]
        return
    made = {"elementwise": cupy.ElementwiseKernel, "reduce": cupy.ReductionKernel}[kernel.emitter](
        *kernel.arguments, **options
    )
    if kernel.emitter == "reduce":
        added = (("CIndexer _in_ind, CIndexer _out_ind", False), ("int32 _block_stride", True))
        added = sum((_kernel._get_param_info(*each) for each in added), ())
        params = made.in_params + made.out_params + added
    else:
        params = made.params
    letters = sorted({p.ctype for p in params if p.dtype is None and p.ctype})
    dimensions = _dimensions(" ".join(kernel.arguments[:6]))
    for types in type_choices(letters, kernel.name):
        mapped = _kernel._TypeMap(tuple(sorted(types.items())))
        arguments = []
        for p in params:
            if p.name in ("_ind", "_in_ind", "_out_ind"):
                arguments.append(_kernel._ArgInfo(2, object, None, 1, True, True))
                continue
            if p.name == "_block_stride":
                arguments.append(_kernel._ArgInfo(3, object, np.int32, 0, True, True))
                continue
            dtype = np.dtype(types.get(p.ctype) or p.dtype).type
            if (
                kernel.emitter == "reduce"
                and p.is_const
                and not p.raw
                and re.search(rf"\b{p.name}\b", made.post_map_expr)
            ):
                # What the last step reads is one number for all.
                arguments.append(_kernel._ArgInfo(3, object, dtype, 0, True, True))
                continue
            arguments.append(_kernel._ArgInfo(1, cupy.ndarray, dtype, dimensions.get(p.name, 1), True, True))
        arguments = tuple(arguments)
        if kernel.emitter == "elementwise":
            kinds = {k: made.kwargs[k] for k in ("loop_prep", "after_loop") if k in made.kwargs}
            code = _kernel._get_elementwise_kernel_code(
                arguments, mapped, params, made.operation, made.name, made.preamble, **kinds
            )
        else:
            code = _reduction._ReductionKernel_get_cached_function_code(
                made.nin, made.nout, params, arguments, mapped, made.name, 256, made.reduce_type,
                made.identity, made.map_expr, made.reduce_expr, made.post_map_expr, made.preamble, (),
            )  # fmt: skip
        yield types, code


@functools.cache
def _options():
    import cupy

    include = Path(cupy.__file__).parent / "_core/include"
    folders = [include, *sorted((include / "cupy/_cccl").iterdir())]
    folders += sorted(Path(cupy.__file__).parents[1].glob("nvidia/*/include"))
    architecture = f"--gpu-architecture=compute_{ARCHITECTURE}"
    return (
        *(f"-I{folder}" for folder in folders),
        "--std=c++17",
        architecture,
        "--device-as-default-execution-space",
        "-DIndexT=int",
    )


def compiled(source):
    """Compile a source. Returns the compiler's errors, or nothing."""
    nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
    headers = "".join(f"#include <cupy/{header}>\n" for header in _HEADERS)
    program = nvrtc.createProgram(headers + source, "kernel.cu", [], [])
    try:
        nvrtc.compileProgram(program, _options())
    except nvrtc.NVRTCError:
        return "\n".join(line for line in nvrtc.getProgramLog(program).splitlines() if "error" in line)
    finally:
        nvrtc.destroyProgram(program)
    return ""


def _together(sources):
    """Return one source for many, each in a namespace of its own; the headers are read only once."""
    lines = dict.fromkeys(
        line for source in sources for line in source.splitlines() if line.lstrip().startswith("#include")
    )
    parts = [*lines]
    for i, source in enumerate(sources):
        body = re.sub(r"^\s*#include.*$", "", source, flags=re.MULTILINE).replace('extern "C" ', "")
        macros = re.findall(r"^\s*#\s*define (\w+)", body, flags=re.MULTILINE)
        parts += [f"namespace k{i} {{", body, "}", *(f"#undef {macro}" for macro in macros)]
    return "\n".join(parts)


def failures(kernels, at_once=64):
    """Compile kernels with every choice of types.

    Returns:
        number of sources, and ``[(kernel, types, errors)]`` of those that do not compile.
    """
    wanted = [(kernel, types, source) for kernel in kernels for types, source in _sources(kernel)]
    found = []
    for start in range(0, len(wanted), at_once):
        batch = wanted[start : start + at_once]
        if len(batch) > 1 and not compiled(_together([source for _, _, source in batch])):
            continue
        for kernel, types, source in batch:
            errors = compiled(source)
            if errors:
                found.append((kernel, {k: v.__name__ for k, v in types.items()}, errors))
    return len(wanted), found
