"""What ``--children`` puts on ``PYTHONPATH``: a ``sitecustomize`` that has Chainer mended in other Python processes."""
