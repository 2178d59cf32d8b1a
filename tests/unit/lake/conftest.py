import pytest

pytest.register_assert_rewrite("lake_contract", "s3_contract")
