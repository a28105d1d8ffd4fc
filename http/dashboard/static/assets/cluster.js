// The cluster: who is in it, who works what, and what moves. Names and addresses are what other members say of themselves.
import { get } from './api.js';
import { amount, clip, duration, h, row, status, table } from './dom.js';

// clustered says whether the daemon is a member of a cluster; it is asked once, when a reader enters.
export let clustered = false;

export async function lookAround() { clustered = (await get('/api/v1/cluster')).enabled; }

export function cluster() {
  return {
    title: 'Cluster',
    every: 2000,
    async load() {
      const { enabled, self, members, shards } = await get('/api/v1/cluster');
      if (!enabled) return { content: [h('p', {}, 'This daemon works on its own: no cluster is configured.')] };
      const moving = shards.filter((s) => s.moving).length;
      const unowned = shards.filter((s) => s.state === 'unowned').length;
      const odd = shards.filter((s) => s.moving || s.state !== 'owned');
      const alive = members.filter((m) => m.state === 'alive').length;
      return {
        content: [
          h('p', { class: 'lead' }, `As ${self.name} sees it, which answers here. ${standing[self.state] || self.state}; `,
            self.valid ? `its leases are valid for ${duration(self.valid_for_seconds)}` : 'its leases are not valid, so it works nothing',
            self.answered_seconds === null ? '.' : `, and the store answered ${duration(self.answered_seconds)} ago.`),
          self.trouble ? h('div', { class: 'error', role: 'alert' }, h('h2', {}, 'It takes no deliveries'), h('div', { class: 'message' }, self.trouble)) : null,
          h('ul', { class: 'cards' }, card(`${alive} of ${members.length}`, 'members alive', alive < members.length), card(amount(shards.length - unowned), `of ${amount(shards.length)} shards owned`),
            card(amount(moving), 'moving'), card(amount(unowned), 'without an owner', unowned > 0)),
          h('h2', {}, 'Members'),
          table('Members', [['Member'], ['State'], ['Address', 'text'], ['Version', 'text'], ['Shards', 'number'], ['Joined'], ['Heard of'], ['Lease left', 'number']],
            members.map((m) => row(`${m.name} ${m.address}`, [clip(m.name, 64), m.self ? ' (answers here)' : ''], status(m.state), clip(m.address, 80), clip(m.version, 64), m.shards, `${duration(m.joined_seconds)} ago`,
              `${duration(m.heartbeat_seconds)} ago`, duration(m.lease_seconds))), 'The store has not been heard of.'),
          h('h2', {}, 'On the move'), shardsTable('Shards on the move', odd, 'Every shard is with the member that should have it.'),
          h('h2', {}, 'All shards'),
          shards.length ? h('details', {}, h('summary', {}, `Show all ${amount(shards.length)}`), shardsTable('All shards', shards)) : h('p', { class: 'empty' }, 'The store has not been heard of.'),
        ],
      };
    },
  };
}

const standing = { starting: 'It is starting', joined: 'It is in the cluster', leaving: 'It is leaving', lost: 'It is out of the cluster at the moment' };

const card = (value, name, alarm) => h('li', { class: `card ${alarm ? 'alarm' : ''}` }, h('b', {}, value), h('span', {}, name));

const shardsTable = (caption, shards, empty) => table(caption, [['Shard', 'number'], ['State'], ['Generation', 'number'], ['Owner', 'text'], ['For'], ['Lease left', 'number'], ['Moves to', 'text']],
  shards.map((s) => row(s.shard, s.shard, status(s.state), s.generation, clip(s.owner || '–', 64), duration(s.held_seconds), duration(s.lease_seconds), s.moving || !s.owner ? clip(s.target || '–', 64) : '')), empty);
