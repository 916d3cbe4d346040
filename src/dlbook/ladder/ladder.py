"""The ladder itself: its rungs, from the lowest up, with the published accuracy of each."""

from dlbook.activations import sigmoid
from dlbook.ladder import pictures, rungs
from dlbook.ladder.pictures import convolutional, dense
from dlbook.ladder.rungs import Rung, trained

# The published accuracies are those of Nielsen (2015), chapters 1, 3 and 6, single best runs as he gives them; those of
# dropout and of expanded data for dense networks are Hinton et al. (2012) and Simard et al. (2003), as he cites them.
LADDER = {
    "darkness": Rung("mean darkness", 22.25, rungs.mean_darkness, seeded=False),
    "svm": Rung("support vector machine", 98.5, rungs.support_vectors, seeded=False),
    "hidden30": Rung(
        "30 hidden units",
        95.42,
        rungs.sigmoid_network(30, "quadratic", epochs=30, lr=6.0, batch_size=60),
    ),
    "hidden100": Rung("100 hidden units", 96.59, rungs.sigmoid_network(100, "quadratic", epochs=30, lr=3.0)),
    "cross_entropy": Rung("cross-entropy", 96.82, rungs.sigmoid_network(100, "cross_entropy", epochs=30, lr=0.5)),
    "l2": Rung(
        "L2 penalty", 98.04, rungs.sigmoid_network(100, "cross_entropy", epochs=60, lr=0.5, batch_size=10, l2=5.0)
    ),
    "dropout": Rung(
        "800 and 800 units, dropout",
        98.7,
        trained(
            lambda: dense(784, 800, 800, 10, dropout=0.5, drop_inputs=0.2),
            epochs=60,
            lr=2e-3,
            weight_decay=0.01,
            name="dropout",
        ),
    ),
    "elastic": Rung(
        "bent pictures",
        99.3,
        trained(
            lambda: dense(784, 800, 800, 10, dropout=0.2),
            epochs=30,
            lr=2e-3,
            weight_decay=0.01,
            augment=pictures.bent,
            name="elastic",
        ),
    ),
    "convolution": Rung(
        "one convolution",
        98.78,
        trained(lambda: convolutional(20, bend=sigmoid), epochs=10, lr=6e-3, name="convolution"),
    ),
    "convolutions": Rung(
        "two convolutions",
        99.06,
        trained(lambda: convolutional(20, 40, bend=sigmoid), epochs=10, lr=6e-3, name="convolutions"),
    ),
    "relu": Rung(
        "rectified units",
        99.23,
        trained(lambda: convolutional(20, 40), epochs=8, lr=3e-3, weight_decay=0.02, name="relu"),
    ),
    "shifted": Rung(
        "shifted pictures",
        99.37,
        trained(
            lambda: convolutional(20, 40),
            epochs=12,
            lr=3e-3,
            weight_decay=0.02,
            augment=pictures.by_a_pixel,
            name="shifted",
        ),
    ),
    "wide": Rung(
        "two dense layers, dropout",
        99.60,
        trained(
            lambda: convolutional(20, 40, hidden=(1000, 1000), dropout=0.5),
            epochs=14,
            lr=2e-3,
            weight_decay=0.02,
            augment=pictures.by_a_pixel,
            name="wide",
        ),
    ),
    "residual": Rung("this book's best network", None, pictures.best),
    "ensemble": Rung("an ensemble of five", 99.67, pictures.ensemble),
    "fashion": Rung(
        "the same network on clothes",
        None,
        trained(pictures.residual, **pictures.BEST, augment=pictures.moved, name="fashion"),
        data="fashion_mnist",
        beside=True,
    ),
    "wide_quadratic": Rung(
        "100 hidden units, quadratic cost, wide start",
        96.59,
        rungs.sigmoid_network(100, "quadratic", epochs=30, lr=3.0, batch_size=10, wide_start=True),
        beside=True,
    ),
    "wide_cross_entropy": Rung(
        "100 hidden units, cross-entropy, wide start",
        96.82,
        rungs.sigmoid_network(100, "cross_entropy", epochs=30, lr=0.5, batch_size=10, wide_start=True),
        beside=True,
    ),
}
