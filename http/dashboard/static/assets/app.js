// The page: which view an address stands for, when it is loaded again, and who reads it.
import { Refused, identify, login, logout, may, who } from './api.js';
import { cluster, clustered, lookAround } from './cluster.js';
import { audit, dead } from './dead.js';
import { help } from './dialog.js';
import { h, link } from './dom.js';
import { lane, lanes } from './lanes.js';
import { follow } from './live.js';
import { morph } from './morph.js';
import { overview } from './overview.js';
import { handlers, routes } from './routes.js';
import { task, tasks } from './tasks.js';

const seldom = 15000; // milliseconds between two looks where nothing is told
const often = 2000; // where no stream tells
const main = document.getElementById('main');
const state = document.getElementById('state');
const nav = document.getElementById('nav');
const reader = document.getElementById('reader');
const message = document.getElementById('message');

// A row of the menu is [address, name, when]: one with a condition is shown where it holds.
const rows = [
  ['/ui/', 'Overview'], ['/ui/tasks', 'Tasks'], ['/ui/dead', 'Dead letters'], ['/ui/lanes', 'Lanes'], ['/ui/routes', 'Routes'], ['/ui/handlers', 'Handlers'],
  ['/ui/cluster', 'Cluster', () => clustered], ['/ui/audit', 'Audit', () => may('admin')],
];
const menu = () => rows.filter(([, , when]) => !when || when());

let current = 0; // numbers the views, so that a late answer for an earlier one is dropped
let live = false; // whether the stream tells of changes
let refresh = () => {};
let stopFollowing = null;

function view(path, parameters, context) {
  const [, , name, ...rest] = path.split('/');
  const detail = rest.join('/') ? decodeURIComponent(rest.join('/')) : '';
  switch (name) {
    case '': return overview(context);
    case 'tasks': return detail ? task(context, parameters, detail) : tasks(context, parameters);
    case 'lanes': return detail ? lane(context, parameters, detail) : lanes(context, parameters);
    case 'dead': return dead(context, parameters);
    case 'routes': return routes(context);
    case 'handlers': return handlers(context);
    case 'cluster': return cluster();
    case 'audit': return audit(context);
    default: return { title: 'Nothing here', load: async () => ({ content: [h('p', {}, 'There is no such view. ', link('/ui/', 'To the overview'))] }) };
  }
}

// say tells what a command came to, until the next one or the next view.
function say(text, bad) {
  message.textContent = text;
  message.className = bad ? 'bad' : '';
}

function go(address) {
  history.pushState(null, '', address);
  say('');
  show(true);
}

function frame() {
  const { pathname } = location;
  morph(nav, h('nav', { 'aria-label': 'Views', id: 'nav' }, menu().map(([to, name]) => {
    const here = to === '/ui/' ? pathname === to : pathname.startsWith(to);
    return h('a', { href: to, 'aria-current': here ? 'page' : null, 'data-key': to }, name);
  })));
  nav.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  morph(reader, h('div', { id: 'reader' }, h('button', { type: 'button', class: 'quiet', onclick: turn }, `Theme: ${theme()}`),
    who.expires_at ? [h('span', {}, `${who.name} (${who.scope})`), h('button', { type: 'button', class: 'quiet', onclick: leave }, 'Log out')] : null));
}

function tell() {
  state.textContent = live ? 'live' : 'every 2 s';
  state.className = live ? 'on' : '';
  state.title = live ? 'Changes are shown as they happen' : 'The stream of changes is not open; the page asks every two seconds';
}

async function show(fresh) {
  const mine = ++current;
  const { pathname, search, hash } = location;
  const context = { path: pathname, go, say, refresh: () => refresh() };
  const v = view(pathname, new URLSearchParams(search), context);
  let timer = 0;
  let loading = false;
  let missed = false;
  let first = true;
  document.title = `${v.title} – Hooktroupe`;
  document.querySelector('dialog')?.close('');
  frame();
  async function load() {
    if (mine !== current) return;
    if (loading) { missed = true; return; }
    loading = true;
    clearTimeout(timer);
    let pause = live ? v.every || seldom : often;
    try {
      const result = await v.load();
      if (mine !== current) return;
      const title = result.title || v.title;
      document.title = `${title} – Hooktroupe`;
      const content = h('div', { class: 'view' }, h('h1', {}, title), result.content);
      if (first || main.children.length !== 1) main.replaceChildren(content);
      else morph(main.firstChild, content);
      result.drawn?.();
      if (result.soon) pause = 500;
      if (first && hash) document.getElementById(hash.slice(1))?.scrollIntoView();
      first = false;
      main.setAttribute('aria-busy', 'false');
    } catch (error) {
      if (mine !== current) return;
      if (error instanceof Refused && error.status === 401) { ask(); return; }
      if (first) main.replaceChildren(h('div', { class: 'view' }, h('h1', {}, v.title), h('p', { class: 'error', role: 'alert' }, error.message)));
      else say(error.message, true);
    } finally {
      loading = false;
    }
    if (mine !== current) return;
    if (missed) { missed = false; pause = 50; }
    timer = setTimeout(function again() {
      if (mine !== current) return;
      if (document.hidden) timer = setTimeout(again, often);
      else load();
    }, pause);
  }
  refresh = load;
  main.setAttribute('aria-busy', 'true');
  await load();
  if (fresh) main.focus({ preventScroll: true });
  if (fresh && !hash) scrollTo(0, 0);
}

// ask shows the form in which a reader enters a token.
function ask() {
  current += 1;
  stopFollowing?.();
  stopFollowing = null;
  document.title = 'Log in – Hooktroupe';
  nav.replaceChildren();
  state.textContent = '';
  const wrong = h('p', { class: 'bad', role: 'alert' });
  main.replaceChildren(h('form', {
    class: 'login',
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await login(new FormData(event.target).get('token'));
        await enter();
      } catch (error) {
        wrong.textContent = error.message;
        event.target.reset();
      }
    },
  }, h('h1', {}, 'Log in'), h('p', {}, 'This daemon wants a token. ', h('code', {}, 'hooktroupe token'), ' makes one.'),
  h('label', {}, 'Token', h('input', { name: 'token', type: 'password', autocomplete: 'current-password', required: true, autofocus: true })), wrong,
  h('button', { class: 'main' }, 'Log in')));
  main.querySelector('input').focus();
}

async function leave() {
  await logout().catch(() => {});
  ask();
  frame();
}

// enter begins once the reader is known.
async function enter() {
  await lookAround().catch(() => {}); // the menu is without it, then
  stopFollowing ??= follow(() => refresh(), (open) => { live = open; tell(); });
  tell();
  await show(false);
}

const themes = ['auto', 'light', 'dark'];
const theme = () => (themes.includes(localStorage.getItem('theme')) ? localStorage.getItem('theme') : 'auto');

function dress() { document.documentElement.dataset.theme = theme(); }

function turn() {
  localStorage.setItem('theme', themes[(themes.indexOf(theme()) + 1) % themes.length]);
  dress();
  frame();
  refresh();
}

document.addEventListener('click', (event) => {
  const a = event.target.closest?.('a[href^="/ui"]');
  if (!a || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button !== 0) return;
  event.preventDefault();
  go(a.getAttribute('href'));
});
addEventListener('popstate', () => { say(''); show(true); });
addEventListener('keydown', (event) => {
  if (['INPUT', 'SELECT', 'TEXTAREA'].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog')) return;
  const n = Number(event.key);
  const list = [...main.querySelectorAll('tbody tr')].map((r) => r.querySelector('a')).filter(Boolean);
  const at = list.findIndex((a) => a.closest('tr').contains(document.activeElement));
  switch (event.key) {
    case '?': help(menu()); break;
    case '/':
      event.preventDefault();
      main.querySelector('form.filters input, form.filters select')?.focus();
      break;
    case 'j': list[Math.min(at + 1, list.length - 1)]?.focus(); break;
    case 'k': list[Math.max(at - 1, 0)]?.focus(); break;
    default: if (n >= 1 && n <= menu().length) go(menu()[n - 1][0]);
  }
});

dress();
try {
  await identify();
  await enter();
} catch (error) {
  if (error instanceof Refused && error.status === 401) ask();
  else main.replaceChildren(h('p', { class: 'error', role: 'alert' }, error.message));
}
