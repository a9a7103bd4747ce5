"""No secret of the command line reaches a report."""

from chapiteau.load.logic.inputs.masking import masked


def test_secrets_are_hidden_and_the_rest_is_not() -> None:
    line = [
        "run", "http://joe:pw@h/", "--bearer", "t1", "--basic=joe:t2", "--api-keys", "key=t3",
        "--headers", "Authorization=t4", "--headers=X-Lang=en", "--options", "password=t5",
        "--rate", "5/s",
    ]  # fmt: skip
    assert list(masked(line)) == [
        "run", "http://•••@h/", "--bearer", "•••", "--basic=•••", "--api-keys", "key=•••",
        "--headers", "Authorization=•••", "--headers=X-Lang=en", "--options", "password=•••",
        "--rate", "5/s",
    ]  # fmt: skip
