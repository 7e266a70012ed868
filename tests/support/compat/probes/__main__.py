"""Runs each probe without its mend, in a process of its own, or all with all mends; prints which failed."""

import os
import sys
import traceback
import warnings

from ganspec.impl_chainer import compat

from . import PROBES, skipped


def run(without):
    """Run a probe without the mend of its name, or with "" all with all mends; print which failed."""
    if without:
        compat.apply(without={without})
    # The errors are those of Chainer; warnings of other libraries' imports are their own business.
    warnings.filterwarnings("error", category=DeprecationWarning, module=r"chainer")
    failed = []
    for each in [without] if without else names:
        try:
            PROBES[each]()
        except Exception:
            failed.append(each)
            traceback.print_exc()
    print(f"{without or 'nothing'} left out, failed:", *failed, flush=True)


names = [name for name in PROBES if not skipped(name)]
if sys.argv[1:] == ["--all"]:
    run("")
else:
    for left_out in names:
        child = os.fork()  # which has loaded what Chainer needs, and not Chainer
        if child == 0:
            run(left_out)
            sys.stderr.flush()
            os._exit(0)
        os.waitpid(child, 0)
