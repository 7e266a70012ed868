"""GANs in plain PyTorch, Chainer and NumPy, as strangers write them; none of them uses ganspec."""
