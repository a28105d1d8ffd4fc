// The page: which view an address stands for, and when it is loaded again.
import { Refused, setToken } from './api.js';
import { h, link } from './dom.js';
import * as views from './views.js';

const refreshEvery = 2000; // milliseconds; a hidden page waits
const main = document.getElementById('main');
const state = document.getElementById('state');
const nav = document.getElementById('nav');
const menu = [['/ui/', 'Overview'], ['/ui/tasks', 'Tasks'], ['/ui/dead', 'Dead letters'], ['/ui/lanes', 'Lanes'], ['/ui/routes', 'Routes']];

let current = 0; // numbers the views, so that a late answer for an earlier one is dropped
let shown = ''; // what the present view last showed

function view(path, parameters, context) {
  const [, , name, ...rest] = path.split('/');
  const detail = rest.join('/') ? decodeURIComponent(rest.join('/')) : '';
  switch (name) {
    case '': return views.overview(context);
    case 'tasks': return detail ? views.task(context, parameters, detail) : views.tasks(context, parameters);
    case 'lanes': return detail ? views.lane(context, parameters, detail) : views.lanes(context, parameters);
    case 'dead': return views.dead(context, parameters);
    case 'routes': return views.routes(context);
    default: return { title: 'Nothing here', load: async () => ({ content: [h('p', {}, 'There is no such view.')] }) };
  }
}

const say = (text) => { state.textContent = text; };

function go(address) {
  history.pushState(null, '', address);
  show(true);
}

// busy says whether to leave the page alone for now: somebody types, or has opened a menu.
const busy = () => main.contains(document.activeElement) && ['INPUT', 'SELECT'].includes(document.activeElement.tagName);

async function show(fresh) {
  const mine = ++current;
  const { pathname, search } = location;
  const context = { path: pathname, go, say, refresh: () => load(true) };
  const v = view(pathname, new URLSearchParams(search), context);
  document.title = `${v.title} – Hooktroupe`;
  nav.replaceChildren(...menu.map(([to, name]) => {
    const here = to === '/ui/' ? pathname === to : pathname.startsWith(to);
    const a = link(to, name);
    if (here) a.setAttribute('aria-current', 'page');
    return a;
  }));
  shown = '';
  async function load(forced) {
    if (mine !== current) return;
    try {
      const result = await v.load();
      if (mine !== current || (busy() && !forced)) return;
      const content = h('div', {}, h('h1', {}, v.title), result.content);
      const text = content.textContent;
      if (text !== shown || result.drawn) {
        keepOpen(content);
        main.replaceChildren(content);
        if (shown && text !== shown) content.classList.add('fresh');
        result.drawn?.();
        shown = text;
      }
      say(`updated ${new Date().toISOString().slice(11, 19)} UTC`);
    } catch (error) {
      if (mine !== current) return;
      if (error instanceof Refused && error.status === 401) {
        main.replaceChildren(login());
        return;
      }
      say(error.message);
      if (!shown) main.replaceChildren(h('h1', {}, v.title), h('p', { class: 'error' }, error.message));
    }
  }
  await load(true);
  if (fresh) main.focus({ preventScroll: true });
  (async () => {
    while (mine === current) {
      await new Promise((done) => { setTimeout(done, refreshEvery); });
      if (!document.hidden) await load(false);
    }
  })();
}

// keepOpen opens in the new content what the reader had opened in the old, and leaves shut what was shut.
function keepOpen(content) {
  const old = [...main.querySelectorAll('details')];
  [...content.querySelectorAll('details')].forEach((d, i) => {
    if (old[i] && old[i].firstChild.textContent === d.firstChild.textContent) d.open = old[i].open;
  });
}

function login() {
  return h('form', {
    class: 'filters',
    onsubmit: (event) => {
      event.preventDefault();
      setToken(new FormData(event.target).get('token'));
      show(true);
    },
  }, h('h1', {}, 'This daemon wants a token'), h('label', {}, 'Token', h('input', { name: 'token', type: 'password', autocomplete: 'off' })),
  h('button', { class: 'main' }, 'Enter'));
}

document.addEventListener('click', (event) => {
  const a = event.target.closest?.('a[href^="/ui"]');
  if (!a || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(a.getAttribute('href'));
});
addEventListener('popstate', () => show(true));
addEventListener('keydown', (event) => {
  if (event.target.tagName === 'INPUT' || event.ctrlKey || event.metaKey || event.altKey) return;
  const n = Number(event.key);
  if (n >= 1 && n <= menu.length) go(menu[n - 1][0]);
});
show(false);
