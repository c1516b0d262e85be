"""The ten questions of chapter 0: what a reader knows and wants, and the route that fits."""

from course_lib.widgets.quiz import Choice, Question, Quiz, Route

STORY, ENGINEER, THEORIST, POST = "story", "engineer", "theorist", "the post's two weeks"

ROUTES = (
    Route(
        STORY,
        "Read for the ideas. Follow the pictures, the widgets and the first two sections of each "
        "chapter, and skip the derivations: 00, then 07 and 08, then whatever the map shows you.",
    ),
    Route(
        ENGINEER,
        "Build it. Type the “by hand” section of each chapter yourself, do every exercise, and "
        "read a derivation when the code surprises you: 00, 07, 08, then the samplers.",
    ),
    Route(
        THEORIST,
        "Prove it. Work through every derivation with the page covered, use the asserts to check "
        "your own lines, and take the optional chapters on scores, bounds and SDEs.",
    ),
    Route(
        POST,
        "Follow the reading journey that this course grew from, in its order, about three hours "
        "a day: the core chapters of every part up to October 2022, the rest if time allows.",
    ),
)


def _knows(ask: str, about: str, *choices: tuple[str, str], right: int, for_: str) -> Question:
    """A question of knowledge: the right answer speaks for the route `for_`, others for STORY."""
    return Question(
        ask,
        [
            Choice(text, why, right=i == right, points={for_ if i == right else STORY: 1})
            for i, (text, why) in enumerate(choices)
        ],
        about,
    )


QUESTIONS = (
    _knows(
        "x has variance 1. What is the variance of 3x + 2?",
        "the variance of a scaled variable",
        ("3", "The standard deviation becomes 3; the variance is its square, 9."),
        ("9", "A factor a multiplies the variance by a²; a shift changes nothing."),
        ("11", "The shift by 2 moves the mean and leaves the variance alone: it is 9."),
        right=1,
        for_=ENGINEER,
    ),
    _knows(
        "a and b are independent, each N(0, 1). What is the standard deviation of 0.6a + 0.8b?",
        "sums of independent Gaussians",
        ("1", "Variances add: 0.36 + 0.64 = 1. Every noising step in this course uses this."),
        ("1.4", "Standard deviations do not add; variances do: 0.36 + 0.64 = 1, so 1."),
        ("0.7", "Variances add, without averaging: 0.36 + 0.64 = 1, so 1."),
        right=0,
        for_=THEORIST,
    ),
    _knows(
        "You see y and must guess x. Which guess has the smallest mean squared error?",
        "the posterior mean minimises squared error",
        (
            "the most likely x",
            "That wins when only an exact hit counts. Squared error asks for E[x | y].",
        ),
        (
            "the median of x given y",
            "The median wins for absolute error. Squared error asks for E[x | y].",
        ),
        (
            "the mean of x given y",
            "E[x | y]: this is why a network trained on squared error denoises.",
        ),
        right=2,
        for_=THEORIST,
    ),
    _knows(
        "What is the score, the gradient of log p(x), of N(m, s²)?",
        "the score of a Gaussian",
        ("(m − x) / s²", "It points back to the mean, and further away it pulls harder."),
        ("(x − m) / s²", "The sign is turned: log p rises towards the mean, so (m − x) / s²."),
        ("(m − x) / s", "log p is −(x − m)² / (2 s²) and a constant: the square of s stays."),
        right=0,
        for_=THEORIST,
    ),
    _knows(
        "KL(q ‖ p) is zero exactly when…",
        "the Kullback–Leibler divergence",
        ("q and p have the same mean", "It compares whole distributions: one mean is not enough."),
        ("q is wider than p", "Width alone decides nothing: it is zero only when q = p."),
        ("q = p", "It is never negative, and zero only where the two agree."),
        right=2,
        for_=THEORIST,
    ),
    _knows(
        "A byte is uniform over its 256 values. How many bits does it cost on average?",
        "nats, bits, and bits per dimension",
        ("8", "log₂ 256 = 8: also what a model that knows nothing pays for a grey pixel."),
        ("5.5", "That is ln 256, in nats. In bits it is log₂ 256 = 8."),
        ("256", "256 is the number of values; naming one of them takes log₂ 256 = 8 bits."),
        right=0,
        for_=THEORIST,
    ),
    _knows(
        "x has shape [8, 3, 32, 32] and a has shape [8]. What does a * x do in PyTorch?",
        "broadcasting in PyTorch",
        (
            "scales each of the 8 images",
            "Shapes are matched from the right: 8 meets 32. Write a[:, None, None, None] * x.",
        ),
        (
            "raises an error",
            "Shapes match from the right: 8 meets 32 and fails. a[:, None, None, None] * x works.",
        ),
        (
            "scales each column",
            "It would if a had 32 entries. With 8 it fails; a[:, None, None, None] * x works.",
        ),
        right=1,
        for_=ENGINEER,
    ),
    _knows(
        "loss.backward() runs twice, optimiser.zero_grad() never. What do the gradients hold?",
        "how autograd accumulates",
        ("the second gradient", "backward() adds to what is there: they hold the sum of both."),
        ("nothing", "backward() fills .grad and adds to what is there: the sum of both."),
        (
            "the sum of both",
            "backward() adds to .grad; that is why each step starts by clearing it.",
        ),
        right=2,
        for_=ENGINEER,
    ),
    Question(
        "What do you want most?",
        [
            Choice(
                "to see how it works",
                "Then ideas come first; you can return for the proofs.",
                points={STORY: 8},
            ),
            Choice(
                "to build it",
                "Then you build each idea once by hand and use the library after.",
                points={ENGINEER: 8},
            ),
            Choice(
                "to know why it works",
                "Then no line is skipped, and each is asserted by a cell.",
                points={THEORIST: 8},
            ),
            Choice(
                "to read the classic papers in order",
                "Then the reading journey is your spine.",
                points={POST: 8},
            ),
        ],
    ),
    Question(
        "How much time do you have?",
        [
            Choice(
                "an evening",
                "Enough for the story, and for noise to become data once.",
                points={STORY: 5},
            ),
            Choice(
                "a few evenings", "Enough to build DDPM and its samplers.", points={ENGINEER: 3}
            ),
            Choice(
                "two weeks", "The time that the reading journey was made for.", points={POST: 4}
            ),
            Choice(
                "as long as it takes", "Then take the optional chapters too.", points={THEORIST: 3}
            ),
        ],
    ),
)


def start_here_quiz() -> Quiz:
    """Chapter 0's quiz: ten questions, each answer explained, and a recommended route."""
    return Quiz(QUESTIONS, ROUTES)
