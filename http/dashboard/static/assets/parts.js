// What several views are made of.
import { may, query } from './api.js';
import { ask } from './dialog.js';
import { clip, h, link, row, status, table, time } from './dom.js';

export const taskPath = (id) => `/ui/tasks/${encodeURIComponent(id)}`;
export const lanePath = (key) => `/ui/lanes/${encodeURIComponent(key)}`;
export const statuses = ['queued', 'processing', 'retrying', 'completed', 'failed', 'cancelled', 'superseded'];

// act is a button that gives a command and then shows the view again; nothing for who may give none.
export function act(context, label, run, question) {
  if (!may('operate')) return null;
  return h('button', {
    type: 'button',
    onclick: async (event) => {
      const button = event.currentTarget;
      if (question && !await ask(question, label)) return;
      button.disabled = true;
      try {
        await run();
        context.say(`${label}: done`);
      } catch (error) {
        context.say(`${label}: ${error.message}`, true);
      }
      button.disabled = false;
      context.refresh();
    },
  }, label);
}

// filters is a form whose fields are the parameters of the address. Fields are [name, label, options]; what may be left out is
// folded away, unless it is set.
export function filters(context, parameters, first, more = []) {
  const field = ([name, label, options]) => h('label', {}, label, options
    ? h('select', { name }, h('option', { value: '' }, 'any'), options.map((o) => h('option', { value: o, selected: parameters.get(name) === o }, o)))
    : h('input', { name, value: parameters.get(name) || '', autocomplete: 'off', spellcheck: 'false' }));
  const set = [...first, ...more].some(([name]) => parameters.get(name));
  return h('form', {
    class: 'filters', role: 'search', 'data-key': `filters-${parameters}`,
    onsubmit: (event) => {
      event.preventDefault();
      context.go(context.path + query(Object.fromEntries(new FormData(event.currentTarget))));
    },
  }, first.map(field), h('button', { class: 'main' }, 'Filter'), set ? link(context.path, 'Clear') : null,
  more.length ? h('details', { class: 'more', open: more.some(([name]) => parameters.get(name)) }, h('summary', {}, 'More filters'), h('div', {}, more.map(field))) : null);
}

// tasksTable shows a page of tasks, or says why there are none.
export function tasksTable(tasks, empty) {
  return table('Tasks', [['Status'], ['Event'], ['Source'], ['Key', 'text'], ['Attempts', 'number'], ['Accepted'], ['Error', 'text']],
    tasks.map((t) => row(t.id, status(t.status), link(taskPath(t.id), clip(t.event || '(no event)', 60)), t.source,
      t.key ? link(lanePath(t.key), clip(t.key, 60)) : '', t.attempts, time(t.created_at), t.error ? h('span', { class: 'why' }, clip(t.error.split('\n', 1)[0])) : '')), empty);
}
