// Elements are made here and nowhere else. Whatever a sender wrote becomes a text node or an attribute, never markup.

// h makes an element. Attributes that begin with "on" are listeners; null and false ones are left out.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(9).filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

// link is an anchor within the page.
export const link = (to, ...children) => h('a', { href: to }, ...children);

// status is a word with its colour; the colour says nothing that the word does not.
export const status = (word) => h('span', { class: `status ${/^[a-z_]+$/.test(word) ? word : ''}` }, word);

// table makes a table. Columns are [title, class]; rows are lists of cells.
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return h('p', {}, empty || 'Nothing here.');
  return h('div', { class: 'scroll' }, h('table', { 'aria-label': caption },
    h('thead', {}, h('tr', {}, columns.map(([title, kind]) => h('th', { scope: 'col', class: kind }, title)))),
    h('tbody', {}, rows.map((cells) => h('tr', {}, cells.map((c, i) => h('td', { class: columns[i][1] }, c)))))));
}

// facts is a list of names with values; empty values are left out.
export const facts = (pairs) => h('dl', {}, pairs.filter(([, v]) => v !== null && v !== undefined && v !== '')
  .map(([k, v]) => [h('dt', {}, k), h('dd', {}, v)]));

// tree shows a JSON value that can be folded.
export function tree(value, key, depth = 0) {
  const name = key === undefined ? null : [h('span', { class: 'key' }, key), ': '];
  if (value === null || typeof value !== 'object') return h('li', {}, name, JSON.stringify(value));
  const entries = Array.isArray(value) ? value.map((v, i) => [i, v]) : Object.entries(value);
  const what = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  if (entries.length === 0) return h('li', {}, name, what);
  const details = h('details', { open: depth < 1 }, h('summary', {}, name, what));
  const fill = () => {
    if (details.open && details.childElementCount === 1) details.append(h('ul', {}, entries.map(([k, v]) => tree(v, k, depth + 1))));
  };
  details.addEventListener('toggle', fill);
  fill();
  return h('li', {}, details);
}

// time shows a moment, given in seconds since 1970 or as RFC 3339, with its age.
export function time(at) {
  if (at === null || at === undefined) return '';
  const date = new Date(typeof at === 'number' ? at * 1000 : at);
  return h('time', { datetime: date.toISOString(), title: date.toISOString() }, `${date.toISOString().slice(0, 19).replace('T', ' ')} (${ago(date)})`);
}

// ago is the distance to a date in one unit.
export function ago(date) {
  const seconds = Math.round((Date.now() - date) / 1000);
  const distance = Math.abs(seconds);
  const [n, unit] = distance < 90 ? [distance, 's'] : distance < 5400 ? [Math.round(distance / 60), 'min']
    : distance < 129600 ? [Math.round(distance / 3600), 'h'] : [Math.round(distance / 86400), 'd'];
  return seconds >= 0 ? `${n} ${unit} ago` : `in ${n} ${unit}`;
}

// duration writes seconds for people.
export function duration(s) {
  if (s === null || s === undefined) return '–';
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${(s * 1e3).toPrecision(3)} ms`;
  if (s < 120) return `${s.toPrecision(3)} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}
