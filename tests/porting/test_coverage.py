"""Which lines of his ran."""

from __future__ import annotations

import sys
import types

from ganspec.tools.porting.coverage import Coverage, his_files

SOURCE = '''
def helper(x):
    """Doc."""
    if x > 1:
        return [i for i in range(x)]
    y = (1 +
         2)
    return y


def unused():
    return 1


class Model:
    """Doc."""

    size = 3

    def call(self, x):
        if x < 0:
            raise ValueError(x)

        return helper(x)

    def sample(self):
        a = 1
        return a


class Other:
    def call(self):
        return 0
'''


def test_lines_that_did_not_run_are_named(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    module = types.ModuleType("his")
    exec(compile(SOURCE, str(path), "exec"), vars(module))
    coverage = Coverage(his_files([module.Model, object]))
    assert coverage.files == {str(path)}
    before = sys.gettrace()
    with coverage:
        module.Model().call(2)
    assert sys.gettrace() is before
    missed = [(m.first, m.last, m.function) for m in coverage.missed([module.Model])]
    assert missed == [(6, 8, "helper"), (22, 22, "Model.call"), (27, 28, "Model.sample")]
    with coverage:
        module.Model().call(0)
        module.Model().sample()
    assert [str(m) for m in coverage.missed([module.Model])] == [f"{path}:22 (Model.call)"]
    assert coverage.counted([module.Model]) == (8, 9)


def test_a_file_that_cannot_be_read_has_no_lines(tmp_path):
    (tmp_path / "bad.py").write_text("def (")
    assert Coverage([str(tmp_path / "bad.py"), str(tmp_path / "absent.py")]).missed() == []
