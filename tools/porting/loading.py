"""His class: found, constructed from arguments given as text, and called. His code is run for this."""

from __future__ import annotations

import ast
import contextlib
import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import numpy as np

from ganspec.spec.text.errors import did_you_mean
from ganspec.tools.porting.errors import PortError
from ganspec.tools.porting.given_arguments import GivenArguments, parsed
from ganspec.tools.porting.tracing.importing import Importer
from ganspec.tools.porting.tracing.record import Trace


class Original:
    """The class that he names, with the arguments that he gives.

    Args:
        target: "FILE:CLASS".
        arguments: the constructor's arguments as he would write them in Python: "128, ch=512, activation=F.relu".
        sources: folders whose modules are his, beside the file's own folder.
        old_names: whether his modules get the names that NumPy has removed.

    Raises:
        PortError: the file, the class or the arguments are wrong, or importing failed.
    """

    def __init__(
        self, target: str, arguments: str = "", sources: tuple[str, ...] = (), old_names: bool = False
    ) -> None:
        path, colon, name = target.rpartition(":")
        if not colon or not name or not path:
            raise PortError(f"expected FILE:CLASS, such as model.py:Generator, found {target!r}")
        for folder in sources:
            if not os.path.isdir(folder):
                raise PortError(f"--source {folder}: no such folder")
        self.path, self.name = os.path.realpath(path), name
        self.importer = Importer([os.path.dirname(self.path), *sources], old_names)
        self.module = self.importer.load(path)
        self.cls = self._found()
        self.arguments = parsed(arguments)
        self._given = GivenArguments(self.path, self.module, self.importer.sources)

    @property
    def trace(self) -> Trace:
        """What has run so far."""
        return self.importer.trace

    def make(self, dtype: str = "float32") -> chainer.Link:
        """Construct it, all its numbers of one precision.

        Args:
            dtype: "float32" or "float64". For float64, float32 in his source means float64.

        Raises:
            PortError: the arguments do not fit, or the constructor failed.
        """
        with self.running(dtype):
            values = [self._given.value(a) for a in self.arguments.args]
            keywords = {str(k.arg): self._given.value(k.value) for k in self.arguments.keywords}
            try:
                inspect.signature(self.cls).bind(*values, **keywords)
            except TypeError as error:
                given = f"--args {ast.unparse(self.arguments)[2:-1]!r}" if values or keywords else "no --args"
                signature = f"{self.name}{inspect.signature(self.cls)}"
                remedy = "say what it is given with --args, as in Python, such as --args '128, ch=512'"
                raise PortError(
                    f"{self.place()}: {signature} cannot be called with {given}: {error}; {remedy}"
                ) from None
            try:
                link = self.cls(*values, **keywords)
            except Exception as error:
                raise PortError(
                    f"{self.line_of(error)}: {self.name}'s constructor failed: {type(error).__name__}: {error}"
                ) from error
        widen(link, np.dtype(dtype))
        return link

    def call(
        self,
        link: chainer.Link,
        inputs: Mapping[str, Any],
        *,
        training: bool,
        dtype: str = "float32",
        method: str = "",
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call it, or one of its methods.

        Args:
            link: an instance of the class, from `make`.
            inputs: arrays or variables by the names of the method's parameters; in order, where the names are not its own.
            training: whether `chainer.config.train` is set.
            dtype: the precision of the link.
            method: name of the method; empty for calling it.
            keywords: further arguments.

        Raises:
            PortError: the inputs do not fit, or his code failed.
        """
        function = getattr(link, method, None) if method else link
        if function is None:
            hint = did_you_mean(method, [n for n in dir(type(link)) if not n.startswith("_")])
            raise PortError(f"{self.place()}: {self.name} has no method {method!r}" + (f"; {hint}" if hint else ""))
        called = getattr(type(link), method or ("__call__" if "__call__" in _own(type(link)) else "forward"), None)
        if called is None:
            own = [n for n in _own(type(link)) if not n.startswith("_") and callable(getattr(type(link), n, None))]
            raise PortError(
                f"{self.place()}: {self.name} has neither __call__ nor forward; "
                f"name a method with --call: {', '.join(sorted(own))}"
            )
        names = _parameters(called)
        further = dict(keywords or {})
        by_name = all(name in names for name in inputs)
        with self.running(dtype), chainer.using_config("train", training):
            try:
                return function(**inputs, **further) if by_name else function(*inputs.values(), **further)
            except Exception as error:
                shapes = ", ".join(
                    f"{n}: {'x'.join(map(str, np.shape(getattr(v, 'array', v))))}" for n, v in inputs.items()
                )
                what = f"{self.name}{'.' + method if method else ''} failed on {shapes}"
                told = " ".join(f"{type(error).__name__}: {error}".split())
                remedy = "mend --input or --call-args, if that is not its shape" if inputs else "give it an --input"
                raise PortError(f"{self.line_of(error)}: {what}: {told}; {remedy}") from error

    @contextlib.contextmanager
    def running(self, dtype: str) -> Iterator[None]:
        """Let his code run: its imports are found, what links are called with is recorded, in a precision."""
        before, self.trace.wide = self.trace.wide, dtype == "float64"
        here = _Inputs(self.trace)
        try:
            with (
                self.importer.importing(os.path.dirname(self.path)),
                chainer.using_config("dtype", np.dtype(dtype)),
                here,
            ):
                yield
        finally:
            self.trace.wide = before

    def place(self) -> str:
        """Returns: the file and line of his class."""
        try:
            return f"{self.path}:{inspect.getsourcelines(self.cls)[1]}"
        except (OSError, TypeError):
            return self.path

    def line_of(self, error: BaseException) -> str:
        """Returns: the innermost line of his that an error came through."""
        place, trace = self.place(), error.__traceback__
        files = {s.path for s in self.importer.sources.values()}
        while trace is not None:
            if trace.tb_frame.f_code.co_filename in files:
                place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        return place

    def _found(self) -> Any:
        value: Any = self.module
        for part in self.name.split("."):
            if not hasattr(value, part):
                links = [n for n, v in vars(self.module).items() if isinstance(v, type) and issubclass(v, chainer.Link)]
                own = [n for n in links if getattr(self.module, n).__module__ == self.module.__name__]
                hint = did_you_mean(part, own)
                raise PortError(
                    f"{self.path} has no class {self.name!r}; it has {', '.join(own) or 'no class of links'}"
                    + (f"; {hint}" if hint else "")
                )
            value = getattr(value, part)
        if not isinstance(value, type) or not issubclass(value, chainer.Link):
            what = "a class, but no chainer.Link" if isinstance(value, type) else f"of the type {type(value).__name__}"
            raise PortError(
                f"{self.path}: {self.name} is {what}; expected a class that derives from chainer.Link, Chain or ChainList"
            )
        return value


class _Inputs(chainer.LinkHook):
    """Records what each link is called with."""

    name = "ganspec inputs"

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> None:
        if self.name not in chainer._get_link_hooks():
            super().__enter__()
            self.entered = True
        else:
            self.entered = False

    def __exit__(self, *_: Any) -> None:
        if self.entered:
            super().__exit__(*_)

    def forward_preprocess(self, args: Any) -> None:
        self.trace.called(args.link, args.args)


def widen(link: chainer.Link, dtype: np.dtype) -> None:
    """Give all floating-point numbers of a link, parameters and others, one precision."""
    for child in link.links():
        for name in child._params:
            parameter = child.__dict__[name]
            if parameter.array is not None and parameter.dtype.kind == "f":
                parameter.array = parameter.array.astype(dtype)
            elif parameter.array is None:
                for initializer in (parameter.initializer, parameter._grad_initializer):
                    if isinstance(initializer, chainer.Initializer):
                        initializer.dtype = dtype
        for name, value in list(child.__dict__.items()):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                child.__dict__[name] = value.astype(dtype)
        if hasattr(child, "_highprec_dtype"):
            child._highprec_dtype = dtype


def _own(cls: type) -> set[str]:
    """Returns: names that a class or a base of his own has, Chainer's own classes left out."""
    return {name for c in cls.__mro__ if not c.__module__.startswith("chainer.") for name in vars(c)}


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
