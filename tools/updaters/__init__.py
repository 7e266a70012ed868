"""Somebody's `update_core` in lockstep with a system: it is loaded, built, fed and compared, and a draft is lifted from it.

calls          arguments of classes and optimisers, as texts
files          his file, loaded as Python would load it
building       networks, optimisers and the updater
batches        images and labels, random, from a data set, or from his own iterator
streams        draws that lose nothing where code turns them to float32
old_chainer    float32 and the words of Chainer 1, where his code brings them in
side           the conformance check's view of it, with the lines of his file
lockstep       both train, and are compared
recording      what one update did: batches, draws, evaluations, functions, updates
lifting        recorded functions as formulas
leaves         arrays from outside of the graph, recognised by their numbers
trees          formulas as trees
carried        numbers that the updater keeps
steps          the order of evaluations and updates
roles          names for draws
writing        loss, schedule and system as TOML
drafting       a draft of all of it
rendering      what was found, as text and JSON
"""
