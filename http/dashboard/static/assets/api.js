// The status API. A reader who has logged in is known by a cookie that no script can read; there is no secret here.

export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ? `${body.title}: ${body.detail}` : body.title || `HTTP ${status}`);
    this.status = status;
  }
}

// known are the last answers by path, for the daemon sends only what is new.
const known = new Map();
const mostKnown = 50;

async function ask(method, path, body) {
  const last = method === 'GET' ? known.get(path) : undefined;
  const headers = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (last) headers['If-None-Match'] = last.tag;
  const response = await fetch(path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: 'no-store', credentials: 'same-origin',
  });
  if (response.status === 304) return last.content;
  const content = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, content);
  const tag = response.headers.get('ETag');
  if (method === 'GET' && tag) {
    known.delete(path);
    known.set(path, { tag, content });
    if (known.size > mostKnown) known.delete(known.keys().next().value);
  }
  return content;
}

export const get = (path) => ask('GET', path);
export const post = (path, body) => ask('POST', path, body);

// who is the reader: { name, scope, expires_at }.
export let who = { name: '', scope: 'none', expires_at: null };

const scopes = ['none', 'read', 'operate', 'admin'];

// may says whether the reader's scope is enough.
export const may = (scope) => scopes.indexOf(who.scope) >= scopes.indexOf(scope);

export async function identify() { who = await get('/api/v1/session'); }
export async function login(token) { who = await post('/api/v1/session', { token }); }

export async function logout() {
  known.clear();
  await ask('DELETE', '/api/v1/session');
  who = { name: '', scope: 'none', expires_at: null };
}

// query writes parameters that are set.
export function query(parameters) {
  const set = Object.entries(parameters).filter(([, v]) => v !== '' && v !== null && v !== undefined);
  return set.length ? `?${new URLSearchParams(set)}` : '';
}
