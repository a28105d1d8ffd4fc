// The status API, with the token that the reader entered, if the daemon wants one. It stays in this tab.

const tokenKey = 'hooktroupe-token';

export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ? `${body.title}: ${body.detail}` : body.title || `HTTP ${status}`);
    this.status = status;
  }
}

export const setToken = (token) => sessionStorage.setItem(tokenKey, token);

// headers are those of a request: a header of ours cannot be sent by a page of another origin.
function headers(extra) {
  const token = sessionStorage.getItem(tokenKey);
  return { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...extra };
}

async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: headers(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: 'no-store',
    credentials: 'omit',
  });
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, content);
  return content;
}

export const get = (path) => ask('GET', path);
export const post = (path, body) => ask('POST', path, body);

// query writes parameters that are set.
export function query(parameters) {
  const set = Object.entries(parameters).filter(([, v]) => v !== '' && v !== null && v !== undefined);
  return set.length ? `?${new URLSearchParams(set)}` : '';
}
