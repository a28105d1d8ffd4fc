// The lanes: what waits under which ordering key, and why.
import { get, post, query } from './api.js';
import { clip, h, link, row, status, table, time } from './dom.js';
import { act, filters, lanePath, taskPath } from './parts.js';

export function lanes(context, parameters) {
  return {
    title: 'Lanes',
    async load() {
      const { lanes: all, total } = await get(`/api/v1/lanes${query({ route: parameters.get('route') || '', limit: 100 })}`);
      return {
        content: [
          h('p', {}, `${total === 1 ? 'One lane has' : `${total.toLocaleString('en')} lanes have`} tasks or ${total === 1 ? 'is' : 'are'} paused. The longest come first; open one to see why it waits.`),
          filters(context, parameters, [['route', 'Route']]),
          table('Lanes', [['Key', 'text'], ['Waiting', 'number'], ['Route'], ['Policy'], ['State']],
            all.map((l) => row(`${l.route} ${l.key}`, l.key ? link(lanePath(l.key), clip(l.key, 80)) : '(no key)', l.waiting_total, l.route, l.policy, l.paused ? status('paused') : '')),
            'Nothing waits.'),
        ],
      };
    },
  };
}

export function lane(context, parameters, key) {
  return {
    title: `Lane ${key}`,
    every: 5000,
    async load() {
      const path = `/api/v1/lanes/${encodeURIComponent(key)}`;
      const { lanes: all } = await get(path).catch((error) => {
        if (error.status === 404) return { lanes: [] };
        throw error;
      });
      if (all.length === 0) return { content: [h('p', {}, 'Nothing waits or runs under this key. ', link(`/ui/tasks${query({ key })}`, 'Its tasks'))] };
      return {
        content: [h('p', {}, link(`/ui/tasks${query({ key })}`, 'All tasks of this key')), all.map((l) => one(context, path, l))],
      };
    },
  };
}

function one(context, path, l) {
  const place = (t) => row(t.webhook_id, t.position || 'runs', status(t.status), link(taskPath(t.webhook_id), t.event_type || '(no event)'), t.attempts, time(t.created_at),
    t.due_at ? time(t.due_at) : '', (t.error || '').split('\n', 1)[0]);
  return h('section', { 'data-key': l.route }, h('h2', {}, l.route ? `Route ${l.route}: ${l.policy}` : l.policy),
    h('p', { class: 'lead' }, l.why ? [h('strong', {}, 'Why is this waiting?'), ' ', why(l.why)] : `${l.running.length} run, ${l.waiting_total} wait.`),
    h('div', { class: 'actions' }, l.paused
      ? act(context, 'Resume', () => post(`${path}/resume${query({ route: l.route })}`))
      : act(context, 'Pause', () => post(`${path}/pause${query({ route: l.route })}`))),
    table('Tasks of the lane', [['Place', 'number'], ['Status'], ['Event'], ['Attempts', 'number'], ['Accepted'], ['Next attempt'], ['Error', 'text']], [...l.running, ...l.waiting].map(place), 'Nothing runs or waits.'),
    l.waiting_total > l.waiting.length ? h('p', { class: 'empty' }, `${l.waiting_total - l.waiting.length} more wait behind these.`) : null);
}

// why makes a link of the task that a reason names.
function why(text) {
  const found = /^task ([0-9a-f-]{36}) (.*)$/.exec(text);
  return found ? ['task ', link(taskPath(found[1]), found[1]), ` ${found[2]}`] : text;
}
