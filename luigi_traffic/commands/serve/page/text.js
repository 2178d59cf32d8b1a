/** All words of the page, in English and Korean, and how numbers are written. */

import { state } from "./state.js";

const WORDS = {
  title: ["Traffic", "교통 현황"],
  skip: ["Skip to the links as a table", "링크 표로 건너뛰기"],
  dataset: ["Dataset", "데이터셋"],
  language: ["한국어", "English"],
  theme: ["Theme", "테마"],
  theme_auto: ["As the system", "시스템 설정"],
  theme_light: ["Light", "밝게"],
  theme_dark: ["Dark", "어둡게"],
  api: ["API", "API"],
  view: ["View", "보기"],
  view_map: ["Map", "지도"],
  view_table: ["Table", "표"],
  mode: ["Links show", "링크 표시"],
  mode_speed: ["Speed", "속도"],
  mode_share: ["Congestion", "혼잡도"],
  mode_ahead: ["+{minutes} min", "+{minutes}분"],
  search: ["Find a link by id or name", "링크 ID 또는 이름으로 찾기"],
  search_none: ["No link matches", "일치하는 링크가 없습니다"],
  search_count: ["{count} links match", "링크 {count}개가 일치합니다"],
  map: ["Map of the links", "링크 지도"],
  map_failed: [
    "This browser cannot draw the map (it needs WebGL 2). The table has the same links.",
    "이 브라우저에서는 지도를 그릴 수 없습니다(WebGL 2 필요). 표에서 같은 링크를 볼 수 있습니다.",
  ],
  zoom_in: ["Zoom in", "확대"],
  zoom_out: ["Zoom out", "축소"],
  north: ["North up", "북쪽을 위로"],
  legend_speed: ["Speed, {units}", "속도, {units}"],
  legend_share: ["Speed as a share of free flow", "자유 통행 속도 대비 비율"],
  legend_limit: ["Speed as a share of the limit", "제한 속도 대비 비율"],
  legend_note: ["Slower links are drawn wider.", "느린 링크일수록 굵게 표시합니다."],
  legend_paler: [
    "Paler: {count} links by fallback. Too little was observed, so the value is the median of this time of the week.",
    "흐리게: 대체값 링크 {count}개. 관측이 부족하여 같은 요일·시각의 중앙값을 씁니다.",
  ],
  limit_note: [
    "No free flow is known (Insight has not run): the speed limit stands for it.",
    "자유 통행 속도가 없어(Insight 미실행) 제한 속도를 기준으로 합니다.",
  ],
  unit_unknown: ["unit not known", "단위 미상"],
  unknown: ["not known", "정보 없음"],
  below: ["below {high}", "{high} 미만"],
  between: ["{low} to {high}", "{low}~{high}"],
  above: ["{low} or more", "{low} 이상"],
  share_1: ["jammed", "정체"],
  share_2: ["congested", "혼잡"],
  share_3: ["slow", "서행"],
  share_4: ["almost free", "비교적 원활"],
  share_5: ["free", "원활"],
  unmapped: [
    "{count} of {all} links have no geometry: they are only in the table.",
    "링크 {all}개 중 {count}개는 위치 정보가 없어 표에만 있습니다.",
  ],
  strangers: [
    "{count} links have a speed but are not in the table of links.",
    "속도는 있지만 링크 표에 없는 링크가 {count}개 있습니다.",
  ],
  time: ["Time", "시각"],
  newest: ["Newest", "최신"],
  play: ["Play", "재생"],
  pause: ["Pause", "일시 정지"],
  no_slider: [
    "A forecast has its own time. Choose Speed or Congestion to go back in the day.",
    "예측에는 정해진 시각이 있습니다. 지난 시각은 속도나 혼잡도에서 볼 수 있습니다.",
  ],
  observed_at: ["Observed {day}, {from} to {to}", "관측 {day} {from}~{to}"],
  forecast_at: [
    "Forecast for {day}, {from} to {to}, issued {issued} by {model} ({kind})",
    "예측 {day} {from}~{to}, {issued}에 {model} 발행({kind})",
  ],
  age: ["{age} old", "{age} 전"],
  feed_old: ["The feed is {age} old", "데이터가 {age} 지났습니다"],
  forecast_old: ["The forecast is {age} old", "예측이 {age} 지났습니다"],
  age_minutes: ["{count} min", "{count}분"],
  age_hours: ["{count} h", "{count}시간"],
  age_days: ["{count} days", "{count}일"],
  coverage: ["{count} of {all} links have a speed", "링크 {all}개 중 {count}개에 속도 있음"],
  fallback_count: ["{count} links by fallback", "링크 {count}개는 대체값"],
  link: ["Link", "링크"],
  link_none: [
    "Choose a link on the map, in the table or by the search field to see its day.",
    "지도, 표 또는 검색에서 링크를 선택하면 하루 동안의 속도를 볼 수 있습니다.",
  ],
  close: ["Close", "닫기"],
  name: ["Name", "이름"],
  length: ["Length", "길이"],
  limit: ["Limit", "제한 속도"],
  free_flow: ["Free flow", "자유 통행"],
  road_class: ["Road class", "도로 등급"],
  lanes: ["Lanes", "차로 수"],
  nodes: ["Nodes", "노드"],
  on_map: ["On the map", "지도 표시"],
  yes: ["yes", "예"],
  no: ["no geometry", "위치 없음"],
  day_of: ["Speed on {day}, {units}", "{day} 속도, {units}"],
  observed: ["Observed", "관측"],
  forecast: ["Forecast", "예측"],
  low: ["Low", "하한"],
  high: ["High", "상한"],
  interval: ["Interval", "예측 구간"],
  fallback: ["fallback", "대체값"],
  hourly: [
    "Each forecast is the one issued at the full hour; the last is the newest.",
    "예측은 매 정시에 발행된 것이며, 마지막은 최신 예측입니다.",
  ],
  no_forecast: ["No forecast of this link.", "이 링크의 예측이 없습니다."],
  as_table: ["The day as a table", "하루를 표로 보기"],
  chart_summary: [
    "Link {link} on {day}: observed between {low} and {high} {units}.",
    "{day} 링크 {link}: 관측 속도 {low}~{high} {units}.",
  ],
  chart_empty: ["Link {link} on {day}: nothing was observed.", "{day} 링크 {link}: 관측값이 없습니다."],
  filter: ["Filter by id or name", "ID 또는 이름으로 거르기"],
  caption: ["All links", "전체 링크"],
  class: ["Class", "구분"],
  rows: ["{first} to {last} of {all}", "{all}개 중 {first}~{last}"],
  previous: ["Previous", "이전"],
  next: ["Next", "다음"],
  loading: ["Loading …", "불러오는 중…"],
  no_datasets: ["The warehouse has no dataset yet.", "아직 데이터셋이 없습니다."],
  no_speeds: ["This dataset has no speeds yet.", "이 데이터셋에는 아직 속도가 없습니다."],
  error_0: ["The server does not answer.", "서버가 응답하지 않습니다."],
  error_401: ["The server needs a token.", "서버에 토큰이 필요합니다."],
  error_503: ["The warehouse does not answer.", "데이터 웨어하우스가 응답하지 않습니다."],
  error: ["The server answers {status}.", "서버 응답: {status}."],
  stale: ["What is shown may be out of date.", "표시된 내용이 최신이 아닐 수 있습니다."],
  retry: ["Try again", "다시 시도"],
  token: ["Token", "토큰"],
  token_needed: [
    "This server needs a token. It is kept until this tab is closed.",
    "이 서버에는 토큰이 필요합니다. 토큰은 이 탭을 닫을 때까지만 보관됩니다.",
  ],
  token_wrong: ["That token is not accepted.", "토큰이 올바르지 않습니다."],
  enter: ["Enter", "확인"],
};

/** The words of a key, with its {places} filled in. */
export function t(key, places = {}) {
  const text = WORDS[key][state.language === "ko" ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (_, name) => places[name]);
}

/** A number as the language writes it, or "not known". */
export function number(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return t("unknown");
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(state.language, options).format(value);
}

/** The unit of the dataset's speeds. */
export function units() {
  return state.dataset?.units ?? t("unit_unknown");
}

/** Write the words of all elements that name a key: data-t, data-t-label, data-t-placeholder. */
export function translate(root = document) {
  document.documentElement.lang = state.language;
  document.title = `${t("title")} – luigi_traffic`;
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t, element.dataset);
  }
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  }
  for (const element of root.querySelectorAll("[data-t-placeholder]")) {
    element.setAttribute("placeholder", t(element.dataset.tPlaceholder));
  }
}

/** An element with a class and children, which are elements or text. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
