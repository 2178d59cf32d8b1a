from __future__ import annotations

import pytest
from http_server import Answer
from pydantic import SecretStr

from luigi_traffic import SourceError, TransientError
from luigi_traffic_its_openapi.api import Api, Refused

AREA = (129.1, 129.48, 35.4, 35.7)
KEY = "a+secret/key=1"


@pytest.fixture
def links(service) -> list[dict[str, str]]:
    return [service.item(f"19200000{n:02d}") for n in range(7)]


def api(service, key: str = KEY, timeout: float = 5) -> Api:
    return Api(service.url, SecretStr(key), timeout)


def test_one_page(service, links) -> None:
    service.areas[AREA] = links
    assert api(service).items(AREA) == links
    assert service.asked == [
        {"apiKey": KEY, "type": "all", "drcType": "all", "minX": "129.1", "maxX": "129.48",
         "minY": "35.4", "maxY": "35.7", "getType": "json"}
    ]  # fmt: skip


@pytest.mark.parametrize(("page", "questions"), [(3, 3), (6, 2), (7, 1), (1, 7)])
def test_pages_are_asked_for_until_all_items_are_there(
    service, links, page: int, questions: int
) -> None:
    service.areas[AREA], service.page = links, page
    assert api(service).items(AREA) == links
    paging = [(q.get("pageNo"), q.get("numOfRows")) for q in service.asked]
    assert paging == [
        (None, None), *((str(n), str(page)) for n in range(2, questions + 1))
    ]  # fmt: skip


def test_no_link_in_an_area(service) -> None:
    assert api(service).items(AREA) == []


def test_a_service_that_does_not_page_is_said_to(service, links) -> None:
    service.areas[AREA], service.page, service.pages_work = links, 3, False
    with pytest.raises(SourceError, match=r"page 1 again.* 3 of 7 items.*smaller areas"):
        api(service).items(AREA)


def test_an_empty_page_before_the_end_is_an_error(service) -> None:
    service.first = [Answer('{"header":{"resultCode":"0"},"body":{"totalCount":"9","items":[]}}')]
    with pytest.raises(SourceError, match=r"page 1 of area .* is empty, but only 0 of 9"):
        api(service).items(AREA)


def test_pages_that_changed_between_two_questions_are_asked_for_again(service, links) -> None:
    service.areas[AREA], service.page = links, 4
    give = service.answer

    def shifting(query: dict[str, str]) -> dict:
        if "pageNo" in query:  # a link more at the front, and one less at the end
            service.areas[AREA] = [service.item("1920000099"), *links[:-1]]
        return give(query)

    service.answer = shifting
    with pytest.raises(TransientError, match="changed while its pages were read"):
        api(service).items(AREA)

    def growing(query: dict[str, str]) -> dict:
        if "pageNo" in query:
            service.areas[AREA] = [*links, service.item("1920000099")]
        return give(query)

    service.areas[AREA], service.answer = links, growing
    with pytest.raises(TransientError, match="changed while its pages were read"):
        api(service).items(AREA)


def test_texts_for_numbers_and_a_list_of_one_are_read(service) -> None:
    body = '{"header":{"resultCode":"00"},"body":{"totalCount":"1","items":{"linkId":"1"}}}'
    service.first = [Answer(body)]
    assert api(service).items(AREA) == [{"linkId": "1"}]


def test_a_wrong_key_is_refused_and_not_shown(service) -> None:
    with pytest.raises(
        Refused, match=r"resultCode '30', '등록되지 않은 키 \*+'.*API_KEY"
    ) as caught:
        api(service, "wrong+key").items(AREA)
    assert "wrong+key" not in str(caught.value)
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_status_that_refuses(service, status: int) -> None:
    service.first = [Answer("no", status)]
    with pytest.raises(Refused, match=f"answered {status}"):
        api(service).items(AREA)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_status_that_passes(service, status: int) -> None:
    service.first = [Answer("later", status)]
    with pytest.raises(TransientError, match=f"/trafficInfo answered {status}"):
        api(service).items(AREA)


def test_a_redirect_is_not_followed(service) -> None:
    service.first = [Answer(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"})]
    with pytest.raises(SourceError, match="answered 302 Found, expected 200"):
        api(service).items(AREA)


@pytest.mark.parametrize(
    ("delay", "answer"), [(1.0, Answer("{}")), (0, Answer('{"header"', size=1000))]
)
def test_no_answer_or_half_of_one_passes_and_shows_no_key(service, delay, answer) -> None:
    service.first, service.delay = [answer], delay
    with pytest.raises(TransientError) as caught:
        api(service, timeout=0.2).items(AREA)
    assert "apiKey" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_nobody_listens() -> None:
    with pytest.raises(TransientError, match="refused") as caught:
        Api("http://127.0.0.1:9/trafficInfo", SecretStr(KEY), 1).items(AREA)
    assert "apiKey" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<!DOCTYPE html><html><body>점검 중</body></html>", "200 with an HTML page"),
        ('<?xml version="1.0"?><response/>', "200 with XML .*demonstration key"),
        ('{"header":{"resultCode":0', "200 with JSON that is damaged"),
        ("", "200 with nothing"),
        ("[]", "without header.resultCode"),
        ('{"error":"x"}', "without header.resultCode"),
        ('{"header":{"resultCode":0}}', "without body.totalCount"),
        ('{"header":{"resultCode":0},"body":{"totalCount":"many"}}', "without body.totalCount"),
        (
            '{"header":{"resultCode":0},"body":{"totalCount":1,"items":["x"]}}',
            "not a list of objects",
        ),
    ],
)
def test_an_answer_that_is_something_else_is_named(service, body: str, said: str) -> None:
    service.first = [Answer(body)]
    with pytest.raises(SourceError, match=said) as caught:
        api(service).items(AREA)
    assert not isinstance(caught.value, Refused)


def test_a_page_that_repeats_the_address_shows_no_key(service) -> None:
    echoed = "x" * 90 + "?apiKey=a%2Bsecret%2Fkey%3D1 " + KEY
    service.first = [Answer(f"<html>{echoed}</html>")]
    with pytest.raises(SourceError) as caught:
        api(service).items(AREA)
    assert "secret" not in str(caught.value)


def test_no_log_shows_the_key(service, links, caplog: pytest.LogCaptureFixture) -> None:
    service.areas[AREA] = links
    with caplog.at_level("DEBUG"):
        api(service).items(AREA)
    assert "secret" not in caplog.text
