/** Questions to the server: the token, pages, and answers that have not changed (ETag). */

const TOKEN = "luigi_traffic.token";
const MOST = 50_000; // rows of a page
const KEPT = 400; // answers that are kept; a day has 288 intervals of five minutes

const kept = new Map(); // address → {tag, made}
let askForToken = async () => null;

/** An answer other than a good one. `status` is 0 if there was none at all. */
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** What is called if the server asks for a token; gives the token, or null. */
export function whenTokenIsNeeded(ask) {
  askForToken = ask;
}

/**
 * What `make` makes of the JSON at an address, or its promise of it; the same object as before if
 * the answer has not changed.
 * Throws a Refusal.
 */
export async function get(path, parameters, make) {
  const address = `${path}?${new URLSearchParams(parameters)}`;
  const before = kept.get(address);
  const answer = await ask(address, before?.tag);
  if (answer.status === 304) {
    keep(address, before);
    return before.made;
  }
  const made = await make(await answer.json());
  const tag = answer.headers.get("ETag");
  if (tag) keep(address, { tag, made });
  return made;
}

/** What `make` makes of each page of an answer. */
export async function pages(path, parameters, make) {
  const all = [];
  let after = null;
  do {
    const asked = { ...parameters, limit: MOST, ...(after === null ? {} : { after }) };
    const page = await get(path, asked, async (body) => ({
      part: await make(body),
      next: body.next,
    }));
    all.push(page.part);
    after = page.next;
  } while (after !== null);
  return all;
}

async function ask(address, tag) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { Accept: "application/json" };
    if (tag) headers["If-None-Match"] = tag;
    if (token) headers.Authorization = `Bearer ${token}`;
    let answer;
    try {
      answer = await fetch(address, { headers, cache: "no-store" });
    } catch {
      throw new Refusal(0, "");
    }
    if (answer.ok || answer.status === 304) return answer;
    const detail = await detailOf(answer);
    if (answer.status !== 401) throw new Refusal(answer.status, detail);
    // Several questions are under way at once: another one may have got the token meanwhile.
    if (sessionStorage.getItem(TOKEN) !== token) continue;
    const given = await askForToken(token !== null);
    if (!given) throw new Refusal(401, detail);
    sessionStorage.setItem(TOKEN, given);
  }
}

async function detailOf(answer) {
  try {
    return (await answer.json()).detail ?? "";
  } catch {
    return answer.statusText;
  }
}

function keep(address, one) {
  kept.delete(address);
  kept.set(address, one);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}
