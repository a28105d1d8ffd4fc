// How the daemon is: rates, what waits, latencies, senders, budgets.
import { get } from './api.js';
import { chart, seconds } from './charts.js';
import { amount, duration, h, link, row, status, table, time } from './dom.js';

export function overview() {
  const charts = [
    chart('Deliveries per second', [['accepted', 'accepted', '--accent'], ['refused', 'refused', '--bad'], ['finished', 'finished', '--good'], ['failed', 'failed', '--warn']]),
    chart('Tasks', [['waiting', 'waiting', '--accent'], ['running', 'running', '--good']]),
    chart('Time to acknowledge', [['median', 'ack_p50', '--accent'], ['99 %', 'ack_p99', '--warn']], seconds),
    chart('Time of an attempt', [['median', 'attempt_p50', '--accent'], ['99 %', 'attempt_p99', '--warn']], seconds),
  ];
  return {
    title: 'Overview',
    every: 5000,
    async load() {
      const { now, budgets, samples, sources } = await get('/api/v1/overview');
      const last = samples.at(-1) || {};
      const rate = (v) => `${(v || 0).toFixed(1)}/s`;
      return {
        content: [
          h('ul', { class: 'cards' },
            card(rate(last.accepted), 'accepted'), card(rate(last.finished), 'finished'),
            card(amount(now.queued), 'queued', '/ui/tasks?status=queued'), card(amount(now.processing), 'running', '/ui/tasks?status=processing'),
            card(amount(now.retrying), 'retrying', '/ui/tasks?status=retrying'), card(amount(now.failed), 'dead letters', '/ui/dead', now.failed > 0 && 'alarm'),
            card(duration(now.oldest_age), 'oldest waiting'), card(duration(last.ack_p99), 'to acknowledge, 99 %')),
          h('div', { class: 'charts' }, charts.map((c) => c.place(samples))),
          h('h2', {}, 'Senders'), senders(sources),
          h('h2', {}, 'Room'), h('ul', { class: 'budgets' }, budgets.map(budget)),
        ],
        drawn: () => charts.forEach((c) => c.draw(samples)),
      };
    },
  };
}

const card = (value, name, to, kind) => h('li', { class: `card ${kind || ''}` }, h('b', {}, value), to ? link(to, name) : h('span', {}, name));

function budget({ name, unit, used, limit }) {
  const id = `budget-${name.replace(/\W+/g, '-')}`;
  return h('li', { 'data-key': id }, h('span', { id }, `${name[0].toUpperCase()}${name.slice(1)}`),
    limit ? h('meter', { min: 0, max: limit, high: limit * 0.8, low: limit * 0.8, optimum: 0, value: used, 'aria-labelledby': id }) : h('span', {}),
    h('span', { class: 'number' }, limit ? `${amount(used, unit)} of ${amount(limit, unit)}` : `${amount(used, unit)}, no limit`));
}

const senders = (sources) => table('Senders', [['Source'], ['Type'], ['State'], ['Failures in a row', 'number'], ['Limit', 'number'], ['Refused', 'number'], ['Last accepted']],
  sources.map((s) => row(s.name, link(`/ui/tasks?source=${encodeURIComponent(s.name)}`, s.name), s.type, h('span', { title: s.then }, status(s.state)), s.consecutive_failures, s.limit ?? '–', s.refused,
    s.last_accepted_at ? time(s.last_accepted_at) : 'never')), 'No source is configured.');
