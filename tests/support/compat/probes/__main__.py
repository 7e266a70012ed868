"""Runs one probe without its mend, or all with all mends, and prints which failed."""

import sys
import traceback
import warnings

from ganspec.impl_chainer import compat

from . import PROBES, skipped


def main(name):
    if name != "--all":
        compat.apply(without={name})
    # The errors are those of Chainer; warnings of other libraries' imports are their own business.
    warnings.filterwarnings("error", category=DeprecationWarning, module=r"chainer")
    failed = []
    for each in [name] if name != "--all" else [n for n in PROBES if not skipped(n)]:
        try:
            PROBES[each]()
        except Exception:
            failed.append(each)
            traceback.print_exc()
    print("failed:", " ".join(failed))


main(sys.argv[1])
