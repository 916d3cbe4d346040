"""Metrics: numbers that say how good a model is, with scikit-learn's names, arguments and answers.

A loss is what training makes small; a metric is what you wanted. Most metrics count: how many positives were found, how
many boxes overlap, how many words match. Counting has edges (a class that never occurs, scores that tie, a recall with
nothing to recall), and two programs that treat an edge differently report different numbers for the same model. Here
each edge is answered as the field's reference program answers it: scikit-learn for classes and curves, pycocotools and
the VOC toolkit for boxes, sacreBLEU for translations.

``counts`` compares labels, ``curves`` moves a threshold over scores, ``probabilities`` judges probabilities, ``boxes``
and ``detection`` compare boxes, ``translation`` compares sentences.
"""

from .boxes import iou, non_max_suppression
from .counts import accuracy, confusion_matrix, f1_score, fpr, precision, recall, tpr
from .curves import auc, average_precision, precision_recall_curve, roc_curve
from .detection import DetectionScores, mean_average_precision
from .probabilities import expected_calibration_error, perplexity, top_k_accuracy
from .translation import bleu

__all__ = [
    "DetectionScores",
    "accuracy",
    "auc",
    "average_precision",
    "bleu",
    "confusion_matrix",
    "expected_calibration_error",
    "f1_score",
    "fpr",
    "iou",
    "mean_average_precision",
    "non_max_suppression",
    "perplexity",
    "precision",
    "precision_recall_curve",
    "recall",
    "roc_curve",
    "top_k_accuracy",
    "tpr",
]
