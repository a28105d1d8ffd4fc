// The views. Each returns { title, load }: load asks the API and returns the elements, and is called again on a timer.
import { get, post, query } from './api.js';
import { chart, seconds } from './charts.js';
import { duration, facts, h, link, status, table, time, tree } from './dom.js';

const taskPath = (id) => `/ui/tasks/${encodeURIComponent(id)}`;
const lanePath = (key) => `/ui/lanes/${encodeURIComponent(key)}`;

// act is a button that asks the API and then shows the view again.
function act(context, label, run, question) {
  return h('button', {
    type: 'button',
    onclick: async (event) => {
      if (question && !globalThis.confirm(question)) return;
      event.target.disabled = true;
      try {
        await run();
        context.say(`${label}: done`);
      } catch (error) {
        context.say(`${label}: ${error.message}`);
      }
      context.refresh();
    },
  }, label);
}

export function overview() {
  return {
    title: 'Overview',
    async load() {
      const { now, samples, sources } = await get('/api/v1/overview');
      const last = samples.at(-1) || {};
      const card = (value, name, to) => h('div', { class: 'card' }, h('b', {}, value), to ? link(to, name) : h('span', {}, name));
      const rate = (v) => `${(v || 0).toFixed(1)}/s`;
      const charts = [
        chart('Deliveries per second', samples, [['accepted', 'accepted', '--accent'], ['refused', 'refused', '--bad'], ['finished', 'finished', '--good']]),
        chart('Acknowledgement', samples, [['median', 'ack_p50', '--accent'], ['99 %', 'ack_p99', '--warn']], seconds),
        chart('Attempts', samples, [['median', 'attempt_p50', '--accent'], ['99 %', 'attempt_p99', '--warn']], seconds),
        chart('Tasks', samples, [['waiting', 'waiting', '--accent'], ['running', 'running', '--good']]),
      ];
      return {
        content: [
          h('div', { class: 'cards' },
            card(rate(last.accepted), 'accepted'), card(rate(last.finished), 'finished'),
            card(now.queued, 'queued', '/ui/tasks?status=queued'), card(now.processing, 'running', '/ui/tasks?status=processing'),
            card(now.retrying, 'retrying', '/ui/tasks?status=retrying'), card(now.failed, 'dead letters', '/ui/dead'),
            card(duration(now.oldest_age), 'oldest waiting'), card(duration(last.ack_p99), 'acknowledged, 99 %')),
          h('div', { class: 'charts' }, charts.map((c) => c.box)),
          h('h2', {}, 'Senders'), sendersTable(sources),
        ],
        drawn: () => charts.forEach((c) => c.draw()),
      };
    },
  };
}

function sendersTable(sources) {
  return table('Senders', [['Source'], ['Type', 'wide'], ['State'], ['Failures in a row', 'number'], ['Limit', 'number'], ['Last accepted', 'wide']],
    sources.map((s) => [s.name, s.type, status(s.state), s.consecutive_failures, s.limit ?? '–', time(s.last_accepted_at)]), 'No source is configured.');
}

const statuses = ['queued', 'processing', 'retrying', 'completed', 'failed', 'cancelled', 'superseded'];

// filters is a form whose fields are the parameters of the address.
function filters(context, parameters, fields) {
  return h('form', {
    class: 'filters',
    onsubmit: (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(event.target));
      context.go(context.path + query(values));
    },
  }, fields.map(([name, label, options]) => h('label', {}, label, options
    ? h('select', { name }, h('option', { value: '' }, 'any'), options.map((o) => h('option', { value: o, selected: parameters.get(name) === o }, o)))
    : h('input', { name, value: parameters.get(name) || '', autocomplete: 'off' }))),
  h('button', { class: 'main' }, 'Filter'));
}

function tasksTable(tasks) {
  return table('Tasks', [['Status'], ['Event'], ['Source', 'wide'], ['Key', 'text wide'], ['Attempts', 'number'], ['Created', 'wide'], ['Error', 'text'], ['ID', 'id']],
    tasks.map((t) => [status(t.status), link(taskPath(t.id), t.event || '(no event)'), t.source, t.key ? link(lanePath(t.key), t.key) : '', t.attempts, time(t.created_at),
      (t.error || '').slice(0, 200), link(taskPath(t.id), t.id.slice(0, 13))]), 'No task matches.');
}

export function tasks(context, parameters) {
  return {
    title: 'Tasks',
    async load() {
      const wanted = Object.fromEntries(['status', 'source', 'event', 'key', 'route', 'error', 'after'].map((n) => [n, parameters.get(n) || '']));
      const page = await get(`/api/v1/tasks${query({ ...wanted, limit: 50 })}`);
      return {
        content: [
          filters(context, parameters, [['status', 'Status', statuses], ['source', 'Source'], ['event', 'Event'], ['key', 'Key'], ['route', 'Route'], ['error', 'Error holds']]),
          tasksTable(page.tasks),
          page.next ? h('p', {}, link(context.path + query({ ...wanted, after: page.next }), 'Older tasks')) : null,
        ],
      };
    },
  };
}

export function task(context, parameters, id) {
  return {
    title: `Task ${id}`,
    async load() {
      const path = `/api/v1/tasks/${encodeURIComponent(id)}`;
      const t = await get(path);
      const d = t.delivery;
      const final = ['completed', 'failed', 'cancelled', 'superseded'].includes(t.status);
      return {
        content: [
          facts([['Status', status(t.status)], ['Source', t.source], ['Event', t.event], ['Route', t.route], ['Delivery', t.delivery_id],
            ['Key', t.key ? link(lanePath(t.key), t.key) : ''], ['Attempts', t.parts.length ? t.attempts : `${t.attempts} of ${t.max_attempts}`],
            ['Created', time(t.created_at)], ['Updated', time(t.updated_at)], ['Next attempt', t.due_at ? time(t.due_at) : ''],
            ['Part of', t.links.parent ? link(taskPath(t.links.parent.split('/').at(-1)), t.links.parent.split('/').at(-1)) : '']]),
          h('div', { class: 'actions' },
            final || t.status === 'retrying' ? act(context, 'Run again', () => post(`${path}/retry`)) : null,
            final ? null : act(context, 'Cancel', () => post(`${path}/cancel`), 'Cancel this task? A running attempt is stopped.'),
            t.status === 'queued' || t.status === 'retrying' ? [act(context, 'To the front', () => post(`${path}/move?to=front`)), act(context, 'To the back', () => post(`${path}/move?to=back`))] : null),
          t.error ? [h('h2', {}, 'Error'), h('div', { class: 'error' }, t.error)] : null,
          t.parts.length ? [h('h2', {}, 'Parts'), table('Parts', [['Status'], ['Route'], ['Attempts', 'number'], ['Error', 'text'], ['ID', 'id']],
            t.parts.map((p) => [status(p.status), p.route, p.attempts, p.error || '', link(taskPath(p.id), p.id.slice(0, 13))]))] : null,
          t.attempt_log.length ? [h('h2', {}, 'Attempts'), h('ol', { class: 'timeline' }, t.attempt_log.map((a) => h('li', {},
            h('strong', {}, `Attempt ${a.number} `), a.outcome ? status(a.outcome) : status('running'), ' ', time(a.started_at),
            a.ended_at ? `, took ${duration((Date.parse(a.ended_at) - Date.parse(a.started_at)) / 1000)}` : '', a.error ? h('pre', {}, a.error) : null)))] : null,
          t.result !== null ? [h('h2', {}, 'Result'), typeof t.result === 'string' ? h('pre', {}, t.result) : h('ul', { class: 'tree' }, tree(t.result))] : null,
          d ? [h('h2', {}, 'Body'), d.payload !== undefined ? h('ul', { class: 'tree' }, tree(d.payload)) : h('pre', {}, d.text ?? d.base64 ?? ''),
            h('h2', {}, 'Headers'), table('Headers', [['Name'], ['Value', 'text']], d.headers.map((x) => [x.name, x.value]))] : null,
        ],
      };
    },
  };
}

export function lanes(context, parameters) {
  return {
    title: 'Lanes',
    async load() {
      const { lanes: all, total } = await get(`/api/v1/lanes${query({ route: parameters.get('route') || '', limit: 100 })}`);
      return {
        content: [
          h('p', {}, `${total} lanes have tasks or are paused. These are the longest.`),
          filters(context, parameters, [['route', 'Route']]),
          table('Lanes', [['Waiting', 'number'], ['Key', 'text'], ['Route'], ['Policy', 'wide'], ['State']],
            all.map((l) => [l.waiting_total, l.key ? link(lanePath(l.key), l.key) : '(no key)', l.route, l.policy, l.paused ? status('paused') : ''])),
        ],
      };
    },
  };
}

export function lane(context, parameters, key) {
  return {
    title: `Lane ${key}`,
    async load() {
      const path = `/api/v1/lanes/${encodeURIComponent(key)}`;
      const { lanes: all } = await get(path);
      const row = (t) => [t.position || 'runs', status(t.status), t.event_type, t.attempts, t.due_at ? time(t.due_at) : '', link(taskPath(t.webhook_id), t.webhook_id.slice(0, 13))];
      return {
        content: all.map((l) => [
          h('h2', {}, l.route ? `Route ${l.route}, ${l.policy}` : l.policy),
          h('p', {}, l.why ? h('strong', {}, `Why is this waiting? ${l.why}`) : `${l.running.length} run, ${l.waiting_total} wait.`),
          h('div', { class: 'actions' }, l.paused
            ? act(context, 'Resume', () => post(`${path}/resume${query({ route: l.route })}`))
            : act(context, 'Pause', () => post(`${path}/pause${query({ route: l.route })}`))),
          table('Tasks of the lane', [['Position', 'number'], ['Status'], ['Event'], ['Attempts', 'number'], ['Next attempt', 'wide'], ['ID', 'id']], [...l.running, ...l.waiting].map(row), 'Nothing runs or waits.'),
        ]),
      };
    },
  };
}

export function dead(context, parameters) {
  const chosen = () => Object.fromEntries(['source', 'event', 'key', 'route', 'error'].map((n) => [n, parameters.get(n) || '']));
  return {
    title: 'Dead letters',
    async load() {
      const wanted = chosen();
      const filter = Object.fromEntries(Object.entries(wanted).filter(([, v]) => v));
      const page = await get(`/api/v1/tasks${query({ ...wanted, status: 'failed', limit: 50 })}`);
      const { matches } = await post('/api/v1/replays', { filter, dry_run: true });
      const { replays } = await get('/api/v1/replays');
      return {
        content: [
          filters(context, parameters, [['source', 'Source'], ['event', 'Event'], ['key', 'Key'], ['route', 'Route'], ['error', 'Error holds']]),
          h('div', { class: 'actions' }, matches ? act(context, `Run all ${matches} again`, () => post('/api/v1/replays', { filter, rate: 0 }), `Run ${matches} dead letters again?`) : null),
          tasksTable(page.tasks),
          replays.length ? [h('h2', {}, 'Replays'), replays.map((r) => h('div', { class: 'card' },
            h('p', {}, `Replay ${r.id} `, status(r.state), ` of ${r.total} tasks, ${r.refused} refused, started `, time(r.started_at)),
            h('progress', { max: r.total || 1, value: r.replayed + r.refused, 'aria-label': `Replay ${r.id}` }),
            r.state === 'running' ? act(context, 'Stop', () => post(`/api/v1/replays/${r.id}/cancel`)) : null))] : null,
        ],
      };
    },
  };
}

export function routes() {
  return {
    title: 'Routes and handlers',
    async load() {
      const { routes: all, handlers } = await get('/api/v1/routes');
      return {
        content: [
          table('Routes', [['Route'], ['Source'], ['Events', 'text'], ['Filter', 'text wide'], ['Policy'], ['Handlers'], ['Waiting', 'number']],
            all.map((r) => [r.name, r.source, r.events.join(', '), r.filter || '', r.policy, r.handlers.join(', '), r.waiting])),
          h('h2', {}, 'Handlers'),
          table('Handlers', [['Handler'], ['Type'], ['Concurrency', 'number'], ['Rate', 'number'], ['Breaker']],
            handlers.map((x) => [x.name, x.type, x.concurrency || '–', x.rate || '–', x.breaker ? status(x.breaker) : '–'])),
          handlers.filter((x) => x.type === 'remote').map((x) => [h('h2', {}, `Members of ${x.name}`),
            table(`Members of ${x.name}`, [['Address'], ['Identity', 'text'], ['Running', 'number'], ['Credits', 'number'], ['Last heard', 'wide']],
              x.members.map((m) => [m.address, m.identity, m.running, m.credits, time(m.heard)]), 'No process is registered.')]),
        ],
      };
    },
  };
}
