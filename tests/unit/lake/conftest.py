import pytest

pytest.register_assert_rewrite("s3_contract")
