// Elements are made here and nowhere else. Whatever a sender wrote becomes a text node or an attribute, never markup.

// h makes an element. Attributes that begin with "on" are listeners; null and false ones are left out.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(9).filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

// link is an anchor within the page.
export const link = (to, ...children) => h('a', { href: to }, ...children);

// status is a word with its colour; the colour says nothing that the word does not.
export const status = (word) => h('span', { class: `status ${/^[a-z_-]+$/.test(word) ? word : ''}` }, word.replaceAll('_', ' '));

// table makes a table. Columns are [title, class]; rows are lists of cells with an optional key. The roles keep it a table
// where a narrow page shows each row as a block.
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return h('p', { class: 'empty' }, empty || 'Nothing here.');
  return h('div', { class: 'scroll' }, h('table', { role: 'table', 'aria-label': caption },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map(([title, kind]) => h('th', { role: 'columnheader', scope: 'col', class: kind }, title)))),
    h('tbody', { role: 'rowgroup' }, rows.map((cells) => h('tr', { role: 'row', 'data-key': cells.key },
      cells.map((c, i) => h('td', { role: 'cell', class: columns[i][1], 'data-label': columns[i][0] }, c)))))));
}

// row gives cells the key that tells their row from others.
export const row = (key, ...cells) => Object.assign(cells, { key });

// facts is a list of names with values; empty values are left out.
export const facts = (pairs) => h('dl', {}, pairs.filter(([, v]) => v !== null && v !== undefined && v !== '')
  .map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v))));

// clip shortens a text, and shows the whole where the pointer rests.
export function clip(text, most = 160) {
  return text.length <= most ? text : h('span', { title: text.slice(0, 4000) }, `${text.slice(0, most)}…`);
}

// tree shows a JSON value that can be folded. What is folded is made when it is opened: a body may hold a million values.
export function tree(value, key, depth = 0) {
  const name = key === undefined ? null : [h('span', { class: 'key' }, key), ': '];
  if (value === null || typeof value !== 'object') return h('li', {}, name, h('span', { class: `value ${typeof value}` }, JSON.stringify(value)));
  const entries = Array.isArray(value) ? value.map((v, i) => [i, v]) : Object.entries(value);
  const what = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  if (entries.length === 0) return h('li', {}, name, what);
  const details = h('details', { open: depth < 1 || (depth < 2 && entries.length <= 8) }, h('summary', {}, name, what));
  const fill = () => {
    if (details.open && details.childElementCount === 1) {
      details.append(h('ul', {}, entries.slice(0, mostEntries).map(([k, v]) => tree(v, k, depth + 1)),
        entries.length > mostEntries ? h('li', {}, `… ${entries.length - mostEntries} more`) : null));
    }
  };
  details.ontoggle = fill;
  fill();
  return h('li', {}, details);
}

const mostEntries = 1000;

// time shows a moment, given as RFC 3339, as its age; the moment itself is where the pointer rests and for whoever copies.
export function time(at) {
  if (at === null || at === undefined) return '';
  const date = new Date(at);
  return h('time', { datetime: date.toISOString(), title: `${date.toISOString().replace('T', ' ').slice(0, 23)} UTC` }, ago(date));
}

// moment shows a moment in full, with its age.
export function moment(at) {
  if (at === null || at === undefined) return '';
  return [`${new Date(at).toISOString().replace('T', ' ').slice(0, 19)} UTC, `, time(at)];
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
  if (s === 0) return '0 s';
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${(s * 1e3).toPrecision(3)} ms`;
  if (s < 120) return `${s.toPrecision(3)} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

// amount writes a number of something for people.
export function amount(n, unit) {
  if (unit !== 'bytes') return n.toLocaleString('en');
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i += 1) n /= 1024;
  return `${n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 1 : 0 })} ${units[i]}`;
}
