"""[dash]: what may be served how."""

import pytest

from chapiteau.core.fields import read
from chapiteau.dash.settings import Dash, settings_problems


def dash(**raw: object) -> Dash:
    found, problems = read(Dash, raw)
    assert found is not None, problems
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_loopback_needs_nothing(host: str) -> None:
    assert settings_problems(dash(host=host), has_accounts=False) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.4", "ops.example.org"])
def test_beyond_loopback_needs_tls_and_an_account(host: str) -> None:
    bare = settings_problems(dash(host=host), has_accounts=False)
    assert len(bare) == 2
    assert "no TLS" in bare[0].what
    assert "chapiteau dash user add" in bare[1].hint
    safe = dash(host=host, cert="c.pem", key="k.pem")
    assert settings_problems(safe, has_accounts=True) == []


def test_half_a_certificate_is_refused() -> None:
    assert "belong together" in settings_problems(dash(cert="c.pem"), has_accounts=True)[0].what


def test_durations_are_written_as_people_write_them() -> None:
    assert dash(history="2m").history == 120
    assert dash().session_idle == 12 * 3600
