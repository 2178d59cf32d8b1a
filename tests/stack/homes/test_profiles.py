"""Promise 9: the local and the stack profile give the same silver, gold, forecasts and metrics."""

from __future__ import annotations

import pytest
from homes import Home


@pytest.mark.timeout(900)
def test_the_profiles_agree(clean: Home, finished: Home) -> None:
    assert finished.checksums() == clean.checksums()
    assert len(clean.checksums()) == 8  # 2 days of raw, bronze, silver, gold
    assert finished.content("its_sim") == clean.content("its_sim")
    assert len(clean.scores()) > 20
    assert finished.scores() == pytest.approx(clean.scores(), abs=1e-6)
