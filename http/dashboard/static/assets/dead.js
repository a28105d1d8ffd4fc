// The dead letters, and how many of them run again.
import { get, may, post, query } from './api.js';
import { ask } from './dialog.js';
import { facts, h, row, status, table, time } from './dom.js';
import { act, filters, tasksTable } from './parts.js';

const fields = ['source', 'event', 'key', 'route', 'error'];

export function dead(context, parameters) {
  const wanted = Object.fromEntries(fields.map((n) => [n, parameters.get(n) || '']));
  const filter = Object.fromEntries(Object.entries(wanted).filter(([, v]) => v));
  return {
    title: 'Dead letters',
    async load() {
      const [page, { replays }, count] = await Promise.all([
        get(`/api/v1/dead_letters${query({ ...wanted, after: parameters.get('after') || '', limit: 50 })}`), get('/api/v1/replays'),
        may('operate') ? post('/api/v1/replays', { filter, dry_run: true }) : { matches: 0 },
      ]);
      return {
        content: [
          filters(context, parameters, [['source', 'Source'], ['event', 'Event'], ['error', 'Error holds']], [['key', 'Key'], ['route', 'Route']]),
          count.matches ? again(context, filter, count.matches) : null,
          tasksTable(page.tasks, 'No dead letter matches.'),
          h('p', { class: 'pages' }, page.next ? h('a', { href: context.path + query({ ...wanted, after: page.next }) }, 'Older dead letters') : null),
          replays.length ? [h('h2', {}, 'Replays'), h('ul', { class: 'replays' }, replays.slice(0, 20).map((r) => progress(context, r)))] : null,
        ],
        soon: replays.some((r) => r.state === 'running'),
      };
    },
  };
}

// again is the form that makes all dead letters of a filter run again.
function again(context, filter, matches) {
  const what = matches === 1 ? 'the one dead letter' : `all ${matches} dead letters`;
  return h('form', {
    class: 'filters', 'data-key': 'again',
    onsubmit: async (event) => {
      event.preventDefault();
      const rate = Number(new FormData(event.currentTarget).get('rate')) || 0;
      if (!await ask(`Run ${what} that match again${rate ? `, ${rate} a second` : ''}?`, 'Run them')) return;
      try {
        const replay = await post('/api/v1/replays', { filter, rate });
        context.say(`Replay ${replay.id} has begun`);
      } catch (error) {
        context.say(error.message, true);
      }
      context.refresh();
    },
  }, h('button', { class: 'main' }, matches === 1 ? 'Run it again' : `Run all ${matches} again`),
  h('label', { class: 'short' }, 'at most per second', h('input', { name: 'rate', type: 'number', min: 0, max: 1000000, step: 'any', placeholder: 'no limit', inputmode: 'decimal' })));
}

function progress(context, r) {
  const done = r.replayed + r.refused;
  return h('li', { class: 'card', 'data-key': `replay-${r.id}` },
    h('p', {}, h('strong', {}, `Replay ${r.id}`), ' ', status(r.state), ` ${done} of ${r.total}`, r.refused ? `, ${r.refused} of them had changed` : '', ', begun ', time(r.started_at)),
    h('progress', { max: r.total || 1, value: r.total ? done : 1, 'aria-label': `Replay ${r.id}` }),
    Object.keys(r.filter).length ? facts(Object.entries(r.filter).map(([k, v]) => [k, Array.isArray(v) ? v.join(', ') : v])) : null,
    r.state === 'running' ? act(context, 'Stop', () => post(`/api/v1/replays/${r.id}/cancel`)) : null);
}

// audit shows who gave which command.
export function audit() {
  return {
    title: 'Audit',
    async load() {
      const { records } = await get('/api/v1/audit?limit=200');
      return {
        content: [table('Commands', [['When'], ['Who'], ['Command'], ['About', 'text'], ['With', 'text'], ['From'], ['Answer', 'number']],
          records.map((r) => row(`${r.at} ${r.action} ${r.target}`, time(r.at), `${r.name} (${r.scope})`, r.action, h('code', {}, r.target), r.parameters, r.client, r.status)), 'No command was given yet.')],
      };
    },
  };
}
