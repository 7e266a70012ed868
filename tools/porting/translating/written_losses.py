"""Chainer's losses that PyTorch has otherwise, or not at all. This module imports torch alone: its functions are copied into
ported files."""

import math

import torch
import torch.nn.functional as F


def _reduced(loss, reduce):
    """The mean, the sum or each of the losses."""
    return loss.mean() if reduce == "mean" else loss.sum() if reduce == "sum" else loss


def _softmax_cross_entropy(x, t, normalize, class_weight, ignore_label, reduce):
    """-log softmax(x)[t]; its mean over the labels that are not ignored, or over the batch."""
    loss = F.cross_entropy(x, t.long(), weight=class_weight, ignore_index=ignore_label, reduction="none")
    if reduce == "no":
        return loss
    count = torch.sum(t != ignore_label).clamp(min=1) if normalize else max(len(x), 1)
    return loss.sum() / count


def _sigmoid_cross_entropy(x, t, normalize, reduce):
    """-(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), without labels of -1."""
    kept = (t != -1).to(x.dtype)
    loss = kept * (F.relu(x) - t.to(x.dtype) * x - F.logsigmoid(x.abs()))
    if reduce == "no":
        return loss
    count = kept.sum().clamp(min=1) if normalize else max(len(x), 1)
    return loss.sum() / count


def _bernoulli_nll(x, y, reduce):
    """softplus(y) - x y: y is the logit."""
    return _reduced(-F.logsigmoid(-y) - x * y, reduce)


def _gaussian_kl_divergence(mean, ln_var, reduce):
    """From N(mean, exp(ln_var)) to N(0, 1)."""
    return _reduced((mean * mean + torch.exp(ln_var) - ln_var - 1) * 0.5, reduce)


def _gaussian_nll(x, mean, ln_var, reduce):
    """Of x under N(mean, exp(ln_var))."""
    return _reduced((ln_var + math.log(2 * math.pi)) / 2 + torch.square(x - mean) * torch.exp(-ln_var) * 0.5, reduce)


def _hinge(x, t, norm, reduce):
    """max(0, 1 - x) for the label's class, max(0, 1 + x) for the others."""
    sign = torch.ones_like(x)
    sign[torch.arange(len(t), device=x.device), t.long()] = -1
    loss = F.relu(1 + sign * x)
    loss = torch.square(loss) if norm == "L2" else loss
    return loss.sum() / len(x) if reduce == "mean" else loss


def _huber_loss(x, t, delta, reduce):
    """Quadratic up to delta, linear beyond."""
    distance = (x - t).abs()
    loss = torch.where(distance < delta, 0.5 * torch.square(x - t), delta * (distance - 0.5 * delta))
    return loss if reduce == "no" else loss.sum(dim=1)


def _contrastive(x0, x1, y, margin, reduce):
    """Pulls pairs of label 1 together, and pushes others apart up to a margin."""
    squared = torch.sum(torch.square(x0 - x1), dim=1)
    far = torch.square(F.relu(margin - torch.linalg.vector_norm(x0 - x1, dim=1)))
    return _reduced((y * squared + (1 - y) * far) * 0.5, reduce)


def _triplet(anchor, positive, negative, margin, reduce):
    """max(0, |a - p|^2 - |a - n|^2 + margin)."""
    distance = torch.sum(torch.square(anchor - positive) - torch.square(anchor - negative), dim=1)
    return _reduced(F.relu(distance + margin), reduce)


def _accuracy(y, t, ignore_label):
    """The share of labels that are the largest of their row."""
    found = torch.argmax(y, dim=1).reshape(t.shape) == t
    kept = torch.ones_like(found) if ignore_label is None else t != ignore_label
    return (found & kept).sum().to(y.dtype) / kept.sum().clamp(min=1)


def _binary_accuracy(y, t, ignore_label):
    """The share of labels, among those that are not ignored, that the sign of y tells."""
    y, t = y.flatten(), t.flatten()
    return ((y >= 0) == t).sum().to(y.dtype) / (t != ignore_label).sum().clamp(min=1)


def _cross_covariance(y, z, reduce):
    """The covariances of each column of y with each of z; half the sum of their squares."""
    covariance = torch.matmul((y - y.mean(0, keepdim=True)).mT, z - z.mean(0, keepdim=True)) / len(y)
    return 0.5 * torch.sum(torch.square(covariance)) if reduce == "half_squared_sum" else covariance


def _decov(h, reduce):
    """The covariances of different columns; half the sum of their squares."""
    centred = h - h.mean(0, keepdim=True)
    covariance = torch.matmul(centred.mT, centred) / len(h)
    covariance = covariance * (1 - torch.eye(len(covariance), dtype=h.dtype, device=h.device))
    return 0.5 * torch.sum(torch.square(covariance)) if reduce == "half_squared_sum" else covariance
