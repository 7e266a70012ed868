"""His networks, optimisers and updater, made of what the command line says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ganspec.impl_chainer.compat  # noqa: F401

# isort: split
import chainer
import chainer.functions as F
import numpy as np

from ganspec.spec.system import System
from ganspec.spec.text.errors import did_you_mean, expected_one_of
from ganspec.tools.conformance.errors import line_in
from ganspec.tools.errors import UserError
from ganspec.tools.updaters.batches import Replayed
from ganspec.tools.updaters.calls import Arguments, parse_arguments
from ganspec.tools.updaters.files import load_name

_OPTIMIZER = re.compile(r"(\w+)=(\w+):(\w+)\((.*)\)", re.DOTALL)
_PAIR = re.compile(r"(\w+)=(.*)", re.DOTALL)
# Functions of Chainer that arguments of old classes name: F.relu.
_FUNCTIONS = {f"F.{name}": getattr(F, name) for name in dir(F) if not name.startswith("_")}


@dataclass(frozen=True)
class Wanted:
    """What is to be made, as the options say it; the fields are options of `ganspec check-updater`.

    Args:
        target: "FILE:NAME" of the updater's class, or of a function that returns an updater.
        networks: "G=FILE:CLASS", or "G=attribute" of the updater.
        args_of: "G=128, ch=512".
        optimizers: "opt_gen=G:Adam(alpha=2e-4)".
        arguments: arguments of the updater, which may name networks.
        maps: "D/l1=fc1": layers or arrays of networks by the system's names.
    """

    target: str
    networks: Sequence[str]
    args_of: Sequence[str] = ()
    optimizers: Sequence[str] = ()
    arguments: str = ""
    maps: Sequence[str] = ()


@dataclass(frozen=True)
class Built:
    """An updater with what it trains.

    Args:
        updater: the updater, whose main iterator is `iterator`.
        networks: its networks, by the system's names.
        optimizers: its optimisers, by network.
        names: its own names of its optimisers, by network.
        iterator: iterator that it reads.
        own_iterator: the iterator that it was made with; None where that was ours.
        mapping: names of its layers or arrays by the system's, by network.
    """

    updater: Any
    networks: Mapping[str, Any]
    optimizers: Mapping[str, Any]
    names: Mapping[str, str]
    iterator: Replayed
    own_iterator: Any = None
    mapping: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def build(wanted: Wanted, system: System) -> Built:
    """Make networks, optimisers and the updater. His files are run.

    Raises:
        UserError: something cannot be made; the message names the option, and the line of his file where one failed.
    """
    np.random.seed(0)  # initial values are replaced; but the same command shall do the same
    texts = _pairs(wanted.networks, "--network", "G=model.py:Generator", system)
    arguments = _pairs(wanted.args_of, "--args-of", "G=128", system)
    classes = {n: t for n, t in texts.items() if ":" in t}
    for name in arguments:
        if name not in classes:
            raise UserError(f"--args-of {name}: there is no --network {name}=FILE:CLASS that takes arguments")
    networks = {n: _network(n, t, arguments.get(n, "")) for n, t in classes.items()}
    optimizers, owners = {}, {}
    for text in wanted.optimizers:
        key, network, optimizer = _optimizer(text, networks)
        optimizers[key], owners[network] = optimizer, key
    updater, iterator, own = _updater(wanted, networks, optimizers, system)
    for name, attribute in texts.items():
        if name not in networks:
            networks[name] = _attribute(updater, name, attribute)
    found = dict(getattr(updater, "_optimizers", optimizers))
    by_network, names = {}, {}
    for key, optimizer in found.items():
        target = getattr(optimizer, "target", None)
        owner = next((n for n, link in networks.items() if link is target), owners.get(key))
        if owner is not None and owner in system.optimizers:
            by_network[owner], names[owner] = optimizer, str(key)
    return Built(updater, networks, by_network, names, iterator, own, _mapping(wanted.maps, system))


def make_reporter(built: Built) -> Any:
    """Returns: a reporter that knows his networks by his names of their optimisers, as Chainer's trainer does."""
    reporter = chainer.Reporter()
    for name, link in built.networks.items():
        prefix = built.names.get(name, name)
        reporter.add_observer(prefix, link)
        reporter.add_observers(prefix, link.namedlinks(skipself=True))
    return reporter


def _pairs(texts: Sequence[str], option: str, example: str, system: System) -> dict[str, str]:
    """Returns: text by network of "NAME=TEXT" each."""
    found: dict[str, str] = {}
    for text in texts:
        match = _PAIR.fullmatch(text)
        if not match:
            raise UserError(f"{option}: '{text}' is not NETWORK=..., such as {example}")
        name = match[1]
        if name not in system.networks:
            hint = did_you_mean(name, system.networks)
            message = f"{option}: {system.name} has no network '{name}': {expected_one_of(system.networks)}"
            raise UserError(message + (f"; {hint}" if hint else ""))
        if name in found:
            raise UserError(f"{option}: {name} is given twice")
        found[name] = match[2]
    return found


def _mapping(texts: Sequence[str], system: System) -> dict[str, dict[str, str]]:
    """Returns: names of his layers by the system's, by network, of "D/l1=fc1" each."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        network, slash, path = ours.partition("/")
        if not (equals and slash and path and theirs) or network not in system.networks:
            raise UserError(f"--map: '{text}' is not NETWORK/LAYER=YOURS, such as D/l1=fc1, or D/l1/W=fc1/W")
        found.setdefault(network, {})[path] = theirs
    return found


def _network(name: str, text: str, arguments: str) -> Any:
    option = f"--network {name}"
    network = _called(
        load_name(text, option), parse_arguments(arguments, _FUNCTIONS, f"--args-of {name}"), option, text
    )
    if not isinstance(network, chainer.Link):
        raise UserError(f"{option}: {text} makes a {type(network).__name__}, expected a chainer.Link")
    return network


def _optimizer(text: str, networks: Mapping[str, Any]) -> tuple[str, str, Any]:
    """Returns: his name of an optimiser, its network, and the optimiser, set up."""
    match = _OPTIMIZER.fullmatch(text.strip())
    if not match:
        raise UserError(
            f"--optimizer: '{text}' is not NAME=NETWORK:RULE(...), such as 'opt_gen=G:Adam(alpha=2e-4, beta1=0.5)'"
        )
    key, network, rule, arguments = match.groups()
    if network not in networks:
        known = ", ".join(networks) or "none"
        raise UserError(f"--optimizer {key}: there is no --network {network}=FILE:CLASS; networks: {known}")
    rules = {
        n: c for n, c in vars(chainer.optimizers).items() if isinstance(c, type) and issubclass(c, chainer.Optimizer)
    }
    if rule not in rules:
        hint = did_you_mean(rule, rules)
        message = f"--optimizer {key}: Chainer has no optimiser '{rule}': {expected_one_of(rules)}"
        raise UserError(message + (f"; {hint}" if hint else ""))
    option = f"--optimizer {key}"
    optimizer = _called(rules[rule], parse_arguments(arguments, {}, option), option, rule)
    optimizer.setup(networks[network])
    return key, network, optimizer


def _updater(
    wanted: Wanted, networks: Mapping[str, Any], optimizers: Mapping[str, Any], system: System
) -> tuple[Any, Replayed, Any]:
    """Returns: the updater, the iterator that it reads, and the one that it was made with, where that is his own."""
    target = load_name(wanted.target, "TARGET")
    iterator = Replayed(system.run.batch)
    names = {**networks, **optimizers, "iterator": iterator, **_FUNCTIONS}
    given = parse_arguments(wanted.arguments, names, "--args")
    if isinstance(target, type):
        if not callable(getattr(target, "update_core", None)):
            raise UserError(
                f"TARGET: the class {wanted.target} has no update_core; name a subclass of chainer.training.StandardUpdater"
            )
        standard = chainer.training.updaters.StandardUpdater
        if issubclass(target, standard) and target.update_core is standard.update_core:
            raise UserError(
                f"TARGET: {wanted.target} does not define update_core, so it trains one network by one loss;"
                " name the class that trains the GAN"
            )
        ours = {"iterator": {"main": iterator}, "optimizer": dict(optimizers), "device": -1}
        made = {n: v for n, v in ours.items() if n not in given.named and _accepts(target, n)}
        given = Arguments(given.positional, {**made, **given.named})
    elif not callable(target):
        raise UserError(f"TARGET: {wanted.target} is a {type(target).__name__}, expected an updater's class")
    updater = _called(target, given, "TARGET", wanted.target)
    if not callable(getattr(updater, "update_core", None)):
        raise UserError(
            f"TARGET: {wanted.target} makes a {type(updater).__name__} without update_core, expected an updater"
        )
    iterators = getattr(updater, "_iterators", None)
    if not isinstance(iterators, dict) or not iterators:
        raise UserError(
            f"TARGET: the updater of {wanted.target} has no iterators; its __init__ must call that of StandardUpdater"
        )
    key = "main" if "main" in iterators else next(iter(iterators))
    own = iterators[key] if iterators[key] is not iterator else None
    iterators[key] = iterator  # any other one, of noise for instance, stays his
    return updater, iterator, own


def _accepts(target: Any, name: str) -> bool:
    """Returns: whether a class takes an argument of this name."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (ValueError, TypeError):
        return True
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


def _called(target: Any, given: Arguments, option: str, text: str) -> Any:
    """Call a class of his. Raises: UserError: it fails."""
    try:
        return target(*given.positional, **given.named)
    except (Exception, SystemExit) as error:
        line = line_in(error)
        said = f"{type(error).__name__}: {error}"
        key = error.args[0] if isinstance(error, KeyError) and error.args else None
        named = f"{key}=..." if isinstance(key, str) and key.isidentifier() else ""  # kwargs.pop("n_dis")
        if option == "TARGET":
            remedy = f"give its arguments with --args '{named or 'models=(G, D)'}'"
        elif option.startswith("--network"):
            remedy = f"give its arguments with --args-of {option.removeprefix('--network ')}='{named or '...'}'"
        else:
            remedy = "mend the arguments in its parentheses"
        raise UserError(f"{option}: {text} cannot be made: {f'{line}: ' if line else ''}{said}; {remedy}") from None


def _attribute(updater: Any, name: str, path: str) -> Any:
    value = updater
    for part in path.split("."):
        if not part.isidentifier() or not hasattr(value, part):
            links = [n for n, v in vars(updater).items() if isinstance(v, chainer.Link)]
            there = ", ".join(links) or "none"
            raise UserError(
                f"--network {name}: '{path}' is neither FILE:CLASS nor an attribute of the updater; its networks: {there}"
            )
        value = getattr(value, part)
    if not isinstance(value, chainer.Link):
        raise UserError(f"--network {name}: the updater's {path} is a {type(value).__name__}, expected a chainer.Link")
    return value
