"""Trained networks as files for programs that do not know ganspec.

model           what is exported: a network of a run as it computes in inference, and what is said of it
source          a network as the source of a class, from rows that say how a framework writes each kind of layer
torch_layers, torch_functions        these rows for PyTorch, and functions that they call
chainer_layers, chainer_functions    these rows for Chainer
checking        an exported network against ours
plain           the folder of a plain PyTorch or Chainer network: source, weights, facts; compared with ours
neutral         weights by neutral names, as safetensors
onnx            an ONNX file, by PyTorch's exporter, compared with ours by onnxruntime
"""
