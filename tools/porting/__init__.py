"""Legacy Chainer models become PyTorch source, with their numbers and a proof."""
