"""Wrong answers that the checks of this chapter must catch, each by its own diagnosis."""

from course_lib.exercises.ch21 import check_noisy

# check, a wrong answer, words that its diagnosis must contain; tests/test_exercises.py runs them
WRONG = [
    (check_noisy, lambda x_0, alpha_bar, eps: alpha_bar * x_0 + (1 - alpha_bar) * eps, "its root"),
    (
        check_noisy,
        lambda x_0, alpha_bar, eps: (1 - alpha_bar) ** 0.5 * x_0 + alpha_bar**0.5 * eps,
        "swapped",
    ),
    (check_noisy, lambda x_0, alpha_bar, eps: x_0 + eps, "is not sqrt(alpha_bar) x_0"),
]
