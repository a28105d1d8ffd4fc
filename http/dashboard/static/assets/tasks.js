// The tasks, newest first, and one of them with all that is known of it.
import { get, may, post, query } from './api.js';
import { facts, h, link, duration, moment, row, status, table, time, tree } from './dom.js';
import { act, filters, lanePath, statuses, taskPath, tasksTable } from './parts.js';

const fields = ['status', 'text', 'source', 'event', 'handler', 'key', 'route', 'error', 'max_age', 'min_age', 'after'];

export function tasks(context, parameters) {
  const wanted = Object.fromEntries(fields.map((n) => [n, parameters.get(n) || '']));
  return {
    title: 'Tasks',
    async load() {
      const page = await get(`/api/v1/tasks${query({ ...wanted, limit: 50 })}`);
      return {
        content: [
          filters(context, parameters, [['status', 'Status', statuses], ['text', 'Text'], ['source', 'Source'], ['event', 'Event']],
            [['handler', 'Handler'], ['key', 'Key'], ['route', 'Route'], ['error', 'Error holds'], ['max_age', 'Younger than (15m, 2h)'], ['min_age', 'Older than']]),
          tasksTable(page.tasks, 'No task matches.'),
          h('p', { class: 'pages' }, wanted.after ? link(context.path + query({ ...wanted, after: '' }), 'Newest tasks') : null, ' ',
            page.next ? link(context.path + query({ ...wanted, after: page.next }), 'Older tasks') : null),
        ],
      };
    },
  };
}

const finals = ['completed', 'failed', 'cancelled', 'superseded'];

export function task(context, parameters, id) {
  return {
    title: 'Task',
    async load() {
      const path = `/api/v1/tasks/${encodeURIComponent(id)}`;
      const t = await get(path);
      const final = finals.includes(t.status);
      const again = final || t.status === 'retrying';
      const parent = t.links.parent?.split('/').at(-1);
      return {
        title: `${t.event || 'Task'} from ${t.source}`,
        content: [
          h('p', { class: 'lead' }, status(t.status), ' ', sentence(t)),
          h('div', { class: 'actions' },
            again ? act(context, t.status === 'retrying' ? 'Run now' : 'Run again', () => post(`${path}/retry`)) : null,
            final ? null : act(context, 'Cancel', () => post(`${path}/cancel`), 'Cancel this task? A running attempt is stopped.'),
            t.status === 'queued' || t.status === 'retrying' ? [act(context, 'To the front', () => post(`${path}/move?to=front`)), act(context, 'To the back', () => post(`${path}/move?to=back`))] : null),
          t.error ? failure(t.error) : null,
          facts([['Task', h('code', {}, t.id)], ['Delivery', t.delivery_id ? h('code', {}, t.delivery_id) : ''], ['Source', t.source], ['Event', t.event],
            ['Route', t.route ? link(`/ui/tasks?route=${encodeURIComponent(t.route)}`, t.route) : ''], ['Key', t.key ? link(lanePath(t.key), t.key) : ''],
            ['Accepted', moment(t.created_at)], ['Updated', moment(t.updated_at)], ['Next attempt', t.due_at ? moment(t.due_at) : ''],
            ['Part of', parent ? link(taskPath(parent), parent) : '']]),
          t.parts.length ? [h('h2', {}, 'Parts'), table('Parts', [['Status'], ['Route'], ['Key', 'text'], ['Attempts', 'number'], ['Error', 'text']],
            t.parts.map((p) => row(p.id, status(p.status), link(taskPath(p.id), p.route || '(no route)'), p.key, p.attempts, (p.error || '').split('\n', 1)[0])))] : null,
          t.attempt_log.length ? [h('h2', {}, 'Attempts'), timeline(t)] : null,
          t.result !== null ? h('section', { 'data-keep': `result-${t.updated_at}` }, h('h2', {}, 'Result'),
            typeof t.result === 'string' ? h('pre', { tabindex: 0 }, t.result) : h('ul', { class: 'tree' }, tree(t.result))) : null,
          delivery(context, t),
        ],
      };
    },
  };
}

// sentence says in words where a task stands.
function sentence(t) {
  const of = t.parts.length ? '' : ` of ${t.max_attempts}`;
  switch (t.status) {
    case 'queued': return t.key ? ['waits in the lane ', link(lanePath(t.key), t.key)] : 'waits for its turn';
    case 'processing': return `attempt ${t.attempts}${of} runs`;
    case 'retrying': return [`after attempt ${t.attempts}${of}; the next one is due `, time(t.due_at)];
    case 'failed': return `after ${t.attempts} ${t.attempts === 1 ? 'attempt' : 'attempts'}`;
    default: return t.attempts ? `after ${t.attempts} ${t.attempts === 1 ? 'attempt' : 'attempts'}` : 'before any attempt';
  }
}

// failure shows an error, and a stack folded away.
function failure(error, level = 'h2') {
  const [message, ...stack] = error.split('\n\ngoroutine ');
  return h('div', { class: 'error' }, h(level, {}, 'Error'), h('div', { class: 'message' }, message),
    stack.length ? h('details', {}, h('summary', {}, 'Stack'), h('pre', { tabindex: 0 }, `goroutine ${stack.join('\n\ngoroutine ')}`)) : null);
}

// timeline shows the attempts in their order, each with a bar that says when in the life of the task it ran.
function timeline(t) {
  const moments = t.attempt_log.flatMap((a) => [a.started_at, a.ended_at]).filter(Boolean).map((at) => Date.parse(at));
  const begin = Math.min(Date.parse(t.created_at), ...moments);
  const end = Math.max(begin + 1, Date.parse(t.updated_at), ...moments);
  const span = (from, to) => {
    const bar = h('i', {});
    bar.style.left = `${(100 * (from - begin)) / (end - begin)}%`;
    bar.style.width = `max(3px, ${(100 * (to - from)) / (end - begin)}%)`;
    return bar;
  };
  return h('ol', { class: 'timeline' }, t.attempt_log.map((a) => {
    const from = Date.parse(a.started_at);
    const to = a.ended_at ? Date.parse(a.ended_at) : end;
    return h('li', { 'data-key': `attempt-${a.number}` },
      h('div', { class: 'attempt' }, h('strong', {}, `Attempt ${a.number}`), a.outcome ? status(a.outcome) : status('running'),
        h('span', {}, `after ${duration((from - Date.parse(t.created_at)) / 1000)}`, a.ended_at ? `, took ${duration((to - from) / 1000)}` : ''), time(a.started_at)),
      h('div', { class: 'span', 'aria-hidden': 'true' }, span(from, to)),
      a.error ? failure(a.error, 'h3') : null);
  }));
}

// delivery shows what the sender sent. It never changes, so it is made once and the reader opens of it what they like.
function delivery(context, t) {
  if (!t.delivery) return may('operate') ? null : h('p', { class: 'empty' }, 'Headers and body are shown to who may operate.');
  const d = t.delivery;
  const body = d.payload !== undefined ? h('ul', { class: 'tree' }, tree(d.payload)) : h('pre', { tabindex: 0 }, d.text ?? d.base64 ?? '');
  const raw = h('pre', { tabindex: 0, hidden: true }, d.text ?? d.base64 ?? '');
  const all = (open) => { // breadth first: opening one makes those within it
    for (let left = 2000, list = [...body.querySelectorAll('details')]; list.length && left > 0; left -= 1) {
      const details = list.shift();
      details.open = open;
      if (open) details.ontoggle();
      if (open) list.push(...details.querySelectorAll(':scope > ul > li > details'));
    }
  };
  const swap = (event) => {
    raw.hidden = !raw.hidden;
    body.hidden = !raw.hidden;
    event.currentTarget.setAttribute('aria-pressed', String(!raw.hidden));
  };
  const copy = () => navigator.clipboard.writeText(raw.textContent).then(() => context.say('Body copied'), () => context.say('The browser does not let us copy', true));
  return h('section', { 'data-keep': `delivery-${t.id}` },
    h('h2', {}, `Body, ${d.bytes.toLocaleString('en')} bytes`),
    h('div', { class: 'actions' },
      d.payload !== undefined ? [h('button', { type: 'button', onclick: () => all(true) }, 'Open all'), h('button', { type: 'button', onclick: () => all(false) }, 'Fold all'),
        h('button', { type: 'button', 'aria-pressed': 'false', onclick: swap }, 'As it came')] : null,
      h('button', { type: 'button', onclick: copy }, 'Copy')),
    body, d.payload !== undefined ? raw : null,
    h('h2', {}, 'Headers'), table('Headers', [['Name'], ['Value', 'text']], d.headers.map((x) => [x.name, h('code', {}, x.value)])),
    h('p', { class: 'empty' }, 'Send it again from a shell: ', h('code', {}, `hooktroupe tasks export ${t.id} --as curl`)));
}
