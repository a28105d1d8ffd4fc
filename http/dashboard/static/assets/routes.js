// Where deliveries go: routes, and the handlers at their ends.
import { get } from './api.js';
import { h, link, row, status, table, time } from './dom.js';

const tasksOf = (name, value) => `/ui/tasks?${new URLSearchParams({ [name]: value })}`;
const list = (names, to) => names.flatMap((n, i) => [i ? ', ' : '', link(to(n), n)]);

export function routes() {
  return {
    title: 'Routes',
    every: 5000,
    async load() {
      const { routes: all } = await get('/api/v1/routes');
      return {
        content: [
          h('p', {}, 'The first route that matches a delivery takes it; one that continues lets the routes after it look, too.'),
          table('Routes', [['Route'], ['Source'], ['Events', 'text'], ['Filter', 'text'], ['Key', 'text'], ['Policy'], ['Handlers'], ['Waiting', 'number'], ['Running', 'number'], ['Held up by', 'text']],
            all.map((r) => row(r.name, [link(tasksOf('route', r.name), r.name), r.continue ? ' (continues)' : ''], r.source, r.events.join(', '), r.filter ? h('code', {}, r.filter) : '',
              r.key ? h('code', {}, r.key) : '', r.policy, list(r.handlers, (n) => `/ui/handlers#${encodeURIComponent(n)}`), r.waiting, r.running, r.blocked || '')),
            'No route is configured: nothing is accepted.'),
        ],
      };
    },
  };
}

export function handlers() {
  return {
    title: 'Handlers',
    every: 5000,
    async load() {
      const { handlers: all } = await get('/api/v1/handlers');
      return {
        content: [
          table('Handlers', [['Handler'], ['Type'], ['Leads to', 'text'], ['Routes', 'text'], ['Waiting', 'number'], ['Running', 'number'], ['At once', 'number'], ['Per second', 'number'], ['Breaker'], ['Held up because', 'text']],
            all.map((x) => row(x.name, h('span', { id: encodeURIComponent(x.name) }, link(tasksOf('handler', x.name), x.name)), x.type, x.target, list(x.routes, (n) => tasksOf('route', n)), x.waiting, x.running,
              x.concurrency || '–', x.rate || '–', x.breaker ? status(x.breaker) : '–', x.blocked || '')), 'No handler is configured.'),
          all.filter((x) => x.type === 'remote').map((x) => [h('h2', {}, `Processes of ${x.name}`),
            table(`Processes of ${x.name}`, [['Address'], ['Identity', 'text'], ['Running', 'number'], ['Credits', 'number'], ['State'], ['Last heard']],
              x.members.map((m) => row(m.address, m.address, m.identity, m.running, m.credits, m.draining ? status('draining') : '', time(m.heard))), 'No process is registered.')]),
        ],
      };
    },
  };
}
