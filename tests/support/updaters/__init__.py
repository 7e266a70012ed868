"""Updaters as people wrote them for Chainer 1 to 7, written for the tests, and the small system that they train."""
