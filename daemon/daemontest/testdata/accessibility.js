// What of WCAG 2.2 AA a script can judge on the page that is shown: contrast, names, roles, structure, sizes, reflow.
// The value is a list of what is wrong, in words.
(() => {
  const wrong = [];
  const seen = (e) => { const r = e.getBoundingClientRect(); const s = getComputedStyle(e); return r.width > 1 && r.height > 1 && s.visibility !== 'hidden' && s.clipPath === 'none' && !e.closest('.unseen, .skip, thead'); };
  const where = (e) => `${e.nodeName.toLowerCase()}${e.id ? `#${e.id}` : ''}${typeof e.className === 'string' && e.className ? `.${e.className.trim().replaceAll(' ', '.')}` : ''} “${(e.textContent || '').trim().slice(0, 40)}”`;
  const say = (e, what) => wrong.push(`${where(e)}: ${what}`);
  const name = (e) => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent || '').join(' ') || e.textContent || e.getAttribute('title') || '').trim();

  // Contrast (1.4.3), of text against the colours behind it.
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return c.startsWith('color(') ? [m[0] * 255, m[1] * 255, m[2] * 255, m[3] ?? 1] : [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, c) => over(c, below), parse(getComputedStyle(document.documentElement).colorScheme.includes('dark') && matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18, 18, 18)' : 'rgb(255, 255, 255)'));
  };
  const light = (c) => { const [r, g, b] = c.map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.nodeValue.trim()) || !seen(e) || e.disabled) continue;
    const s = getComputedStyle(e);
    const size = parseFloat(s.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(s.fontWeight) >= 700) ? 3 : 4.5;
    const back = ground(e);
    const got = ratio(over(parse(s.color), back), back);
    if (got < needed) say(e, `contrast ${got.toFixed(2)}, needs ${needed}`);
  }
  // Edges of what is typed into (1.4.11).
  for (const e of document.querySelectorAll('input, select')) {
    if (seen(e) && ratio(parse(getComputedStyle(e).borderTopColor), ground(e.parentElement)) < 3) say(e, 'its edge is hard to see');
  }
  // Names and roles (4.1.2, 1.3.1).
  for (const e of document.querySelectorAll('a[href], button, summary')) if (!name(e)) say(e, 'has no name');
  for (const e of document.querySelectorAll('input, select, textarea')) if (!e.labels?.length && !e.getAttribute('aria-label')) say(e, 'has no label');
  for (const e of document.querySelectorAll('meter, progress, dialog')) if (!e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby')) say(e, 'has no name');
  for (const e of document.querySelectorAll('[aria-labelledby]')) for (const id of e.getAttribute('aria-labelledby').split(' ')) if (!document.getElementById(id)) say(e, `refers to ${id}, which is not there`);
  for (const e of document.querySelectorAll('img')) if (!e.hasAttribute('alt')) say(e, 'has no alternative');
  for (const e of document.querySelectorAll('canvas')) if (!e.closest('[aria-hidden="true"]') && !name(e)) say(e, 'is a picture without words');
  for (const e of document.querySelectorAll('[aria-hidden="true"]')) if (e.querySelector('a[href], button, input, select, [tabindex="0"]')) say(e, 'hides what takes the focus');
  const roles = ['table', 'rowgroup', 'row', 'columnheader', 'cell', 'status', 'alert', 'search'];
  for (const e of document.querySelectorAll('[role]')) if (!roles.includes(e.getAttribute('role'))) say(e, `role ${e.getAttribute('role')} is not one of ours`);
  for (const e of document.querySelectorAll('table')) {
    if (e.closest('[aria-hidden="true"]')) continue;
    if (!e.getAttribute('aria-label') && !e.caption) say(e, 'has no name');
    if (!e.querySelector('th[scope="col"]')) say(e, 'has no headings of columns');
  }
  const ids = new Set();
  for (const e of document.querySelectorAll('[id]')) { if (ids.has(e.id)) say(e, 'its id is not unique'); ids.add(e.id); }
  for (const e of document.querySelectorAll('[tabindex]')) if (e.tabIndex > 0) say(e, 'changes the order of the focus');
  // Structure (1.3.1, 2.4.2, 2.4.6, 3.1.1).
  if (!document.documentElement.lang) wrong.push('the page has no language');
  if (!document.title) wrong.push('the page has no title');
  if (document.querySelectorAll('h1').length !== 1) wrong.push(`${document.querySelectorAll('h1').length} headings of level 1`);
  if (document.querySelectorAll('main').length !== 1 || document.querySelectorAll('body > header').length !== 1) wrong.push('not one main and one header');
  for (const e of document.querySelectorAll('nav')) if (!e.getAttribute('aria-label')) say(e, 'has no name');
  let level = 0;
  for (const e of document.querySelectorAll('h1, h2, h3, h4')) { const n = Number(e.nodeName[1]); if (n > level + 1) say(e, `follows a heading of level ${level}`); level = n; }
  for (const list of document.querySelectorAll('ul, ol')) if ([...list.children].some((c) => c.nodeName !== 'LI')) say(list, 'holds what is no item');
  // What scrolls can be reached by keys (2.1.1).
  for (const e of document.querySelectorAll('main *')) {
    const s = getComputedStyle(e);
    const scrolls = (/auto|scroll/.test(s.overflowY) && e.scrollHeight > e.clientHeight + 1) || (/auto|scroll/.test(s.overflowX) && e.scrollWidth > e.clientWidth + 1);
    if (scrolls && e.tabIndex < 0 && !e.querySelector('a[href], button, [tabindex="0"]')) say(e, 'scrolls, but not by keys');
  }
  // Sizes (2.5.8) of what is not within a line of text, and reflow (1.4.10).
  for (const e of document.querySelectorAll('button, input, select, nav a, summary')) {
    const r = e.getBoundingClientRect();
    if (seen(e) && (r.height < 23.5 || r.width < 23.5)) say(e, `is ${Math.round(r.width)} by ${Math.round(r.height)}, too small to hit`);
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
  return wrong;
})()
