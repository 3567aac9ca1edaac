"""What can go wrong. Every error is a :class:`FocalrtError` and the fitting built-in, so either can be caught."""

from __future__ import annotations


class FocalrtError(Exception):
    """Base class of every error that this package raises on purpose."""


class ArgumentTypeError(FocalrtError, TypeError):
    """An argument is of the wrong kind: a string for a number, a list for an image."""


class ArgumentValueError(FocalrtError, ValueError):
    """An argument is of the right kind but out of range: a click outside the image, a mask of another size."""


class ImageFileError(FocalrtError, ValueError):
    """A file is there but holds no image that can be decoded."""


class ImageTooLargeError(ImageFileError):
    """An image has more bytes or more pixels than its receiver is willing to decode."""


class ModelNotFoundError(FocalrtError, FileNotFoundError):
    """No model of that name, or a folder without its files."""


class ModelError(FocalrtError, ValueError):
    """A model's files are damaged, altered, or not networks of this package."""


class CheckpointError(FocalrtError, ValueError):
    """A file holds no trained parameters that can be read without running anything, or is damaged."""


class ParameterError(FocalrtError, ValueError):
    """A mapping of trained parameters does not fit the network that it should fill."""


class DatasetError(FocalrtError, ValueError):
    """A data set is not laid out as expected, or one of its files does not hold what it should."""


class EvaluationError(FocalrtError, ValueError):
    """An evaluation cannot run as asked: an unknown method, a folder that holds another run, a lost worker."""


class AnnotationError(FocalrtError, ValueError):
    """A file of annotations is damaged, of another image, or none at all."""


class NoImageError(FocalrtError, RuntimeError):
    """A predictor is asked for a mask before it has an image."""


class NoCounterpartError(FocalrtError, AttributeError):
    """Code written for another tool asks for something that has no counterpart here."""


class MissingExtraError(FocalrtError, ImportError):
    """What was asked for needs packages that an extra brings, such as ``focalrt[eval]``."""
